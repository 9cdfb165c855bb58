/** Items 4, 8 and 11, and P1: what only real processes show, by killing and stopping them. */
import { systemClock } from '@muster/core'
import type { JobStore } from '@muster/job-manager'
import { expect, test } from 'vitest'
import { freshLocation, lead, newJob, openAt, Process, SHORT, type JobStoreFactory } from './kit.js'

const KILLS = 6

/** Declares them. */
export function processesSection(factory: JobStoreFactory): void {
  const orders = (location: string) => ({ module: factory.module, location, lease: SHORT })

  test('P1 kill -9 while submitting in groups: every accepted job is there, whole', async () => {
    const location = await freshLocation(factory)
    const accepted = new Set<string>()
    for (let round = 0; round < KILLS; round += 1) {
      const child = new Process({ ...orders(location), task: 'submit' })
      await child.line('accepted')
      await systemClock.sleep(Math.random() * 150)
      await child.kill()
      for (const line of child.lines)
        if (line.startsWith('accepted ')) for (const id of line.split(' ').slice(1)) accepted.add(id)
    }
    const store = await openAt(factory, location)
    expect(accepted.size).toBeGreaterThan(0)
    await expectWhole(store, [...accepted])
  })

  test('4 kill -9 between the statements of a life: job, attempt and event agree', async () => {
    const location = await freshLocation(factory)
    const [started, completed] = [new Set<string>(), new Set<string>()]
    for (let round = 0; round < KILLS; round += 1) {
      const child = new Process({ ...orders(location), task: 'live' })
      await child.line('completed')
      await systemClock.sleep(Math.random() * 150)
      await child.kill()
      for (const [word, id = ''] of child.lines.map((line) => line.split(' ')))
        if (word === 'running') started.add(id)
        else if (word === 'completed') completed.add(id)
    }
    const store = await openAt(factory, location)
    for (const id of completed) expect((await store.get(id))?.state).toBe('completed')
    for (const id of started) expect(['running', 'completed']).toContain((await store.get(id))?.state)
    await expectWhole(store, [...started])
    const alive = (await store.live()).filter(({ job }) => job.state === 'scheduled' || job.state === 'running')
    const counted = (await store.list({ state: ['scheduled', 'running'] }, { limit: 1_000 })).jobs
    expect(counted.map(({ id }) => id).sort()).toEqual(alive.map(({ job }) => job.id).sort())
  })

  for (const crowd of [2, 8])
    test(`11 ${crowd} processes on one record: nothing is lost, nothing is placed twice`, async () => {
      const location = await freshLocation(factory)
      const store = await openAt(factory, location)
      const each = 240 / crowd
      const start = (task: 'submit' | 'race', epoch: number): Process[] =>
        Array.from({ length: crowd }, (_, n) => {
          return new Process({ ...orders(location), task, epoch, count: each, name: `p${n}` })
        })
      const submitters = start('submit', 0)
      await Promise.all(submitters.map((child) => child.ended()))
      expect(new Set(said(submitters, 'accepted')).size).toBe(240)
      const all = (await store.list({}, { limit: 1_000 })).jobs
      expect(all.map(({ id }) => id).sort()).toEqual(said(submitters, 'accepted').sort())
      const racers = start('race', await lead(store))
      await Promise.all(racers.map((child) => child.ended()))
      expect(said(racers, 'placed').sort()).toEqual(said(submitters, 'accepted').sort())
      expect(said(racers, 'refused').filter((code) => code !== 'JOB_STATE_CONFLICT')).toEqual([])
    })

  test('11 while two processes write, neither event loop stalls by more than 20 ms', { retry: 2 }, async () => {
    const location = await freshLocation(factory)
    const pair = ['a', 'b'].map((name) => new Process({ ...orders(location), task: 'submit', count: 400, name }))
    await Promise.all(pair.map((child) => child.ended()))
    const gaps = said(pair, 'gap').map(Number)
    expect(gaps).toHaveLength(4)
    const [a = 0, machineA = 0, b = 0, machineB = 0] = gaps
    expect(Math.max(a, b)).toBeLessThanOrEqual(20 + Math.max(machineA, machineB))
  })

  test('8 a killed leader is replaced within lease + 2 s, a live one is never robbed', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const child = new Process({ ...orders(location), task: 'lead', name: 'child' })
    await child.line('won 1')
    const [mine, other] = [store.stand('mine'), store.stand('other')]
    const racing = Promise.race([mine.won(), other.won()])
    const robbed = await Promise.race([racing, systemClock.sleep(2 * SHORT.leaseMs)])
    expect(robbed).toBeUndefined()
    expect(await store.leader()).toEqual({ holder: 'child', caretaker: false, epoch: 1 })
    const died = performance.now()
    await child.kill()
    expect((await racing).epoch).toBe(2)
    expect(performance.now() - died).toBeLessThan(SHORT.leaseMs + 2_000)
    expect(['mine', 'other']).toContain((await store.leader())?.holder)
    await Promise.all([mine.close(), other.close()])
  })

  test('8 a stopped leader is replaced, and finds out at its next write when it goes on', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const child = new Process({ ...orders(location), task: 'lead' })
    await child.line('won 1')
    child.say('write')
    await child.line('tried written')
    const stand = store.stand('mine')
    const won = stand.won()
    child.signal('SIGSTOP')
    expect((await won).epoch).toBe(2)
    child.say('write')
    child.signal('SIGCONT')
    await child.line('tried SCHEDULER_SUPERSEDED')
    await child.line('lost')
    expect(await store.leader()).toMatchObject({ holder: 'mine', epoch: 2 })
    await stand.close()
  })

  test('8 a lease that is given back is taken at once, by the next process too', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location, { lease: { leaseMs: 60_000, beatMs: 20_000 } })
    const stand = store.stand('mine')
    const { epoch, lost } = await stand.won()
    const child = new Process({ ...orders(location), lease: { leaseMs: 60_000, beatMs: 20_000 }, task: 'lead' })
    await child.line('open')
    await stand.close()
    expect(lost.aborted).toBe(true)
    await child.line(`won ${epoch + 1}`)
    child.say('close')
    await child.ended()
    expect(await store.leader()).toBeUndefined()
  })

  test('8 a caretaker yields at once to a full candidate, and stands only while nobody leads', async () => {
    const location = await freshLocation(factory)
    const options = { lease: { leaseMs: 60_000, beatMs: 20_000 } }
    const [store, other] = [await openAt(factory, location, options), await openAt(factory, location, options)]
    const care = store.stand('care', { caretaker: true })
    const caring = await care.won()
    expect(await store.leader()).toMatchObject({ holder: 'care', caretaker: true })
    const full = other.stand('full')
    const leading = await full.won()
    await expect.poll(() => caring.lost.aborted, { timeout: 15_000 }).toBe(true)
    await expect(store.promoteDue(caring.epoch, 1)).rejects.toMatchObject({ code: 'SCHEDULER_SUPERSEDED' })
    const waiting = new AbortController()
    const refused = care.won(waiting.signal)
    waiting.abort()
    await expect(refused).rejects.toThrow(/abort/i)
    expect(leading.lost.aborted).toBe(false)
    await other.insert(newJob())
    await full.close()
    expect((await care.won()).epoch).toBe(leading.epoch + 1)
  })
}

/** The words after `start` in all lines of these processes. */
function said(children: readonly Process[], start: string): string[] {
  const lines = children.flatMap((child) => child.lines.filter((line) => line.startsWith(`${start} `)))
  return lines.flatMap((line) => line.split(' ').slice(1))
}

/** Each job is there with its first events, and its attempts and events agree with its state. */
async function expectWhole(store: JobStore, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const job = await store.get(id)
    expect(job, id).toBeDefined()
    const [history, attempts] = await Promise.all([store.history(id), store.attempts(id)])
    const actions = history.map(({ action }) => action)
    expect(actions.slice(0, 2)).toEqual(['submit', 'ready'])
    expect(attempts).toHaveLength(job?.attempt ?? 0)
    expect(actions.includes('place')).toBe(attempts.length > 0)
    expect(actions.includes('start')).toBe(job?.state === 'running' || job?.state === 'completed')
    expect(actions.includes('succeed')).toBe(job?.state === 'completed')
    expect(attempts.at(-1)?.outcome ?? null).toBe(job?.state === 'completed' ? 'succeeded' : null)
  }
}
