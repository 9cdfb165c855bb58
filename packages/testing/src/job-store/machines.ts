/** Machines as the record holds them: what a person decided outlives what a leader writes, and binds every placement at once. */
import { expect, test } from 'vitest'
import {
  freshLocation,
  freshStore,
  lead,
  newJob,
  openAt,
  Process,
  refOf,
  SHORT,
  WHERE,
  type JobStoreFactory,
} from './kit.js'

const SEEN = {
  name: 'gpu1',
  state: 'ready',
  reason: null,
  probe: { cpus: 8 },
  quarantined: {},
  trouble: null,
} as const

/** Declares them. */
export function machinesSection(factory: JobStoreFactory): void {
  test('a drain needs no leader and survives what leaders write; draining while attempts are there, then drained', async () => {
    const store = await freshStore(factory)
    expect(await store.drain('gpu1', 'user:ada', 'new disk')).toBe(true)
    expect(await store.drain('gpu1', 'user:bob', 'mine')).toBe(false)
    const drain = { by: 'user:ada', reason: 'new disk', at: expect.any(Number) as number }
    expect(await store.machines()).toMatchObject([{ name: 'gpu1', state: 'drained', probe: {}, drain }])
    expect(await store.resume('gpu1')).toBe(true)
    expect(await store.resume('gpu1')).toBe(false)
    expect(await store.machines()).toEqual([])

    const epoch = await lead(store)
    const { job } = await store.insert(newJob())
    const ref = refOf(await store.place(epoch, job.id, WHERE))
    await store.saveMachine(epoch, SEEN)
    await store.drain('gpu1', 'user:ada', '')
    await store.saveMachine(epoch, SEEN)
    expect(await store.machines()).toMatchObject([{ state: 'draining', drain: { by: 'user:ada' } }])
    const trouble = { code: 'TRANSPORT_LOST', message: 'gone', hint: 'wait', since: 5 }
    await store.saveMachine(epoch, { ...SEEN, state: 'unreachable', reason: 'does not answer', trouble })
    expect(await store.machines()).toMatchObject([{ state: 'unreachable', trouble, drain: { by: 'user:ada' } }])
    await store.finish(epoch, ref, { outcome: 'succeeded', exitCode: 0, collecting: true }, 'machine:gpu1')
    expect(await store.machines()).toMatchObject([{ state: 'unreachable' }])
    await store.collected(epoch, ref, null, 'leader:suite')
    expect(await store.machines()).toMatchObject([{ state: 'drained', trouble }])
    await store.saveMachine(epoch, SEEN)
    await store.resume('gpu1')
    expect(await store.machines()).toMatchObject([{ state: 'ready', drain: null, trouble: null }])
  })

  test('nothing is placed on a drained machine, under the epoch that leads and under the next; an old epoch is refused first', async () => {
    const store = await freshStore(factory)
    const candidacy = store.stand('one')
    const { epoch } = await candidacy.won()
    const [first, second] = [(await store.insert(newJob())).job.id, (await store.insert(newJob())).job.id]
    const placing = store.place(epoch, first, WHERE)
    const [ref] = [refOf(await placing), await store.drain('gpu1', 'user:ada', '')]
    await expect(store.place(epoch, second, WHERE)).rejects.toMatchObject({ code: 'MACHINE_DRAINED' })
    expect(await store.get(second)).toMatchObject({ state: 'queued', attempt: 0 })
    // What runs there goes on, under its own token.
    await store.start(epoch, ref, { tree: 'marker', actor: 'machine:gpu1' })
    const forged = { ...ref, token: '0'.repeat(32) }
    await expect(store.finish(epoch, forged, { outcome: 'succeeded' }, 'machine:gpu1')).rejects.toMatchObject({
      code: 'ATTEMPT_SUPERSEDED',
    })
    await candidacy.close()
    const next = await lead(store)
    await expect(store.place(epoch, second, WHERE)).rejects.toMatchObject({ code: 'SCHEDULER_SUPERSEDED' })
    await expect(store.place(next, second, WHERE)).rejects.toMatchObject({ code: 'MACHINE_DRAINED' })
    expect(await store.place(next, second, { ...WHERE, machine: 'gpu2' })).toMatchObject({ attempt: { number: 1 } })
    await store.finish(next, ref, { outcome: 'succeeded', exitCode: 0 }, 'machine:gpu1')
    expect((await store.machines()).map(({ name, state }) => [name, state])).toEqual([['gpu1', 'drained']])
  })

  test('a drain and placements in one group: what comes after the drain is refused', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const ids = await Promise.all(Array.from({ length: 6 }, async () => (await store.insert(newJob())).job.id))
    const place = (id: string) => store.place(epoch, id, { ...WHERE, gpus: [] }).then(() => 'placed', codeOf)
    const before = ids.slice(0, 3).map(place)
    const drained = store.drain('gpu1', 'user:ada', '')
    const after = ids.slice(3).map(place)
    expect(await drained).toBe(true)
    expect(await Promise.all(before)).toEqual(['placed', 'placed', 'placed'])
    expect(await Promise.all(after)).toEqual(['MACHINE_DRAINED', 'MACHINE_DRAINED', 'MACHINE_DRAINED'])
    const resumed = store.resume('gpu1')
    expect(await Promise.all(ids.slice(3).map(place))).toEqual(['placed', 'placed', 'placed'])
    expect(await resumed).toBe(true)
  })

  test('four processes place while another one drains: not one placement is recorded after the drain', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const epoch = await lead(store)
    for (let n = 0; n < 400; n += 20) await Promise.all(Array.from({ length: 20 }, () => store.insert(newJob())))
    const orders = { module: factory.module, location, lease: SHORT, task: 'race', epoch, name: 'gpu1' } as const
    const racers = Array.from({ length: 4 }, () => new Process(orders))
    await Promise.race(racers.map((racer) => racer.line('placed')))
    await store.drain('gpu1', 'user:ada', '')
    const placed = async () => (await store.live({ machine: 'gpu1' })).length
    const then = await placed()
    expect(then).toBeLessThan(400)
    await Promise.all(racers.map((racer) => racer.ended()))
    expect(await placed()).toBe(then)
    expect(racers.flatMap(({ lines }) => lines)).toContain('refused MACHINE_DRAINED')
    expect((await store.machines()).map(({ state }) => state)).toEqual(['draining'])
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
