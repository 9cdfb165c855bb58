/** Items 1, 2, 3, 6, 9 and 14: submits, the table, races, lists, history, watching. */
import { canonicalJson, JOB_STATES, statePairs, type JobEventRecord } from '@muster/core'
import { expect, test } from 'vitest'
import {
  freshLocation,
  freshStore,
  lead,
  newJob,
  openAt,
  placed,
  refOf,
  running,
  WHERE,
  type JobStoreFactory,
} from './kit.js'

/** Declares them. */
export function jobsSection(factory: JobStoreFactory): void {
  test('1 insert is idempotent by key: the same request gives the same job, another one is a conflict', async () => {
    const store = await freshStore(factory)
    const first = await store.insert(newJob({ key: 'exp-42', labels: { a: 'b' } }, { seed: 1 }))
    const again = await Promise.all(
      Array.from({ length: 20 }, () => store.insert(newJob({ key: 'exp-42', labels: { a: 'b' } }, { seed: 1 }))),
    )
    expect(first.created).toBe(true)
    expect(first.job).toMatchObject({ state: 'queued', attempt: 0, labels: { a: 'b' }, owner: 'ada' })
    for (const { job, created } of again) expect({ id: job.id, created }).toEqual({ id: first.job.id, created: false })
    const other = newJob({ key: 'exp-42', labels: { a: 'b' } }, { seed: 2 })
    await expect(store.insert(other)).rejects.toMatchObject({ code: 'KEY_CONFLICT', details: { id: first.job.id } })
    await expect(store.findByKey(other.spec)).rejects.toMatchObject({ code: 'KEY_CONFLICT' })
    expect((await store.findByKey(first.job.spec))?.id).toBe(first.job.id)
    expect(await store.get(first.job.id)).toEqual(first.job)
    expect((await store.history(first.job.id)).map(({ action }) => action)).toEqual(['submit', 'ready'])
  })

  test('1 a refused operation takes no other of its group with it', async () => {
    const store = await freshStore(factory)
    await store.insert(newJob({ key: 'taken' }, { seed: 1 }))
    const bad = [
      newJob({ key: 'taken' }, { seed: 2 }),
      newJob({ labels: { a: 'x\0y' } }),
      { ...newJob(), owner: 'a\0b' },
    ]
    const good = Array.from({ length: 30 }, () => newJob())
    const outcomes = await Promise.allSettled([...bad, ...good].map((job) => store.insert(job)))
    expect(outcomes.map(({ status }) => status)).toEqual([...bad.map(() => 'rejected'), ...good.map(() => 'fulfilled')])
    expect((await store.list({}, { limit: 100 })).jobs).toHaveLength(31)
  })

  test('2 a transition not in the table is refused with the states named, by plain SQL too', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const { job } = await store.insert(newJob())
    const number = (state: (typeof JOB_STATES)[number]): number => JOB_STATES.indexOf(state)
    const refused = factory.sql(location, `UPDATE job SET state = ${number('completed')}`)
    await expect(refused).rejects.toThrow(/queued -> completed/)
    const replaced = factory.sql(location, 'INSERT OR REPLACE INTO job SELECT * FROM job')
    await expect(replaced).rejects.toThrow(/JOB_EXISTS/)
    expect(statePairs()).toContainEqual(['queued', 'scheduled'])
    await factory.sql(location, `UPDATE job SET state = ${number('scheduled')}`)
    await expect(store.restart(job.id, 'user:ada')).rejects.toMatchObject({ code: 'ILLEGAL_TRANSITION' })
  })

  test('3 of many concurrent transitions from one state one wins, the others learn who', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const { job } = await store.insert(newJob())
    const tries = Array.from({ length: 16 }, (_, n) => store.place(epoch, job.id, { ...WHERE, actor: `leader:${n}` }))
    const outcomes = await Promise.allSettled(tries)
    const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    expect(won).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({
          code: 'JOB_STATE_CONFLICT',
          details: { state: 'scheduled', attempt: 1, action: 'place', actor: 'leader:0' },
        })
    expect(await store.attempts(job.id)).toHaveLength(1)
  })

  test('6 paging by cursor shows each job once while others are inserted', async () => {
    const store = await freshStore(factory)
    const ids = await Promise.all(Array.from({ length: 95 }, async () => (await store.insert(newJob())).job.id))
    const seen: string[] = []
    let next: string | undefined
    do {
      const page = await store.list({ state: 'queued' }, { limit: 10, ...(next !== undefined && { after: next }) })
      seen.push(...page.jobs.map(({ id }) => id))
      next = page.next
      await store.insert(newJob())
    } while (next !== undefined)
    expect(seen).toHaveLength(95)
    expect([...seen].sort()).toEqual([...ids].sort())
  })

  test('6 filters by state, worker, queue, label, machine, owner, time and outcome compose', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    await Promise.all(Array.from({ length: 30 }, (_, n) => store.insert(newJob({ labels: { a: `${n % 3}`, b: 'x' } }))))
    const ref = await running(store, epoch, { labels: { a: '1', b: 'x' }, owner: 'bob', queue: 'night' })
    const find = async (filter: Parameters<typeof store.list>[0]): Promise<number> =>
      (await store.list(filter, { limit: 100 })).jobs.length
    expect(await find({ labels: { a: '1', b: 'x' } })).toBe(11)
    expect(await find({ labels: { a: '1', b: 'x' }, state: 'running' })).toBe(1)
    expect(await find({ labels: { a: '1', b: 'y' } })).toBe(0)
    expect(await find({ machine: 'gpu1', owner: 'bob', queue: 'night', worker: 'command' })).toBe(1)
    expect(await find({ machine: 'gpu1', owner: 'ada' })).toBe(0)
    expect(await find({ worker: 'git' })).toBe(0)
    await store.finish(epoch, ref, { outcome: 'exit', exitCode: 3 }, 'machine:gpu1')
    expect(await find({ outcome: 'exit', labels: { a: '1' }, state: ['failed', 'completed'] })).toBe(1)
    expect(await find({ outcome: 'exit', state: 'queued' })).toBe(0)
    expect(await find({ state: ['queued', 'failed'], owner: 'bob' })).toBe(1)
    const { createdAt = 0 } = (await store.get(ref.jobId)) ?? {}
    expect(await find({ createdAfter: createdAt })).toBe(0)
    expect(await find({ createdBefore: createdAt + 1 })).toBe(31)
    expect(await find({ state: [] })).toBe(0)
  })

  test('9 history is complete, ordered and append-only; the machine says when it happened, the store when it was recorded', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const epoch = await lead(store)
    const ref = refOf(await placed(store, epoch))
    const began = Date.now() - 60_000
    await store.start(epoch, ref, { tree: 'marker', startedAt: began, skewMs: 250, actor: 'machine:gpu1' })
    await store.finish(
      epoch,
      ref,
      { outcome: 'succeeded', exitCode: 0, endedAt: began + 9_000, skewMs: 251, result: { value: { loss: 0.1 } } },
      'machine:gpu1',
    )
    const history = await store.history(ref.jobId)
    expect(history.map(({ action }) => action)).toEqual(['submit', 'ready', 'place', 'start', 'succeed'])
    expect(history.map(({ seq }) => seq)).toEqual([...history.map(({ seq }) => seq)].sort((a, b) => a - b))
    expect(history[3]).toMatchObject({ happenedAt: began, data: { machine: 'gpu1', skewMs: 250 }, attempt: 1 })
    expect(history[4]).toMatchObject({ happenedAt: began + 9_000, data: { skewMs: 251 } })
    for (const { at } of history) expect(Math.abs(at - Date.now())).toBeLessThan(60_000)
    for (const forgery of [
      `UPDATE event SET actor = 'user:mallory'`,
      'DELETE FROM event',
      `INSERT OR REPLACE INTO event SELECT seq, job, attempt, action, 'user:mallory', at, happened, data FROM event`,
    ])
      await expect(factory.sql(location, forgery)).rejects.toThrow(/EVENT_APPEND_ONLY/)
    expect(await store.history(ref.jobId)).toEqual(history)
    expect(await store.get(ref.jobId)).toMatchObject({ startedAt: began, result: { value: { loss: 0.1 } } })
  })

  test('14 a watcher sees every event in order, without a gap, and goes on from where it was', async () => {
    const location = await freshLocation(factory)
    const [store, other] = [await openAt(factory, location), await openAt(factory, location)]
    const epoch = await lead(store)
    const { job } = await store.insert(newJob())
    const [first, second] = [new AbortController(), new AbortController()]
    const seen: JobEventRecord[] = []
    const all = collect(store.watch({ after: 0, jobId: job.id, signal: first.signal }), seen)
    const noise = Array.from({ length: 20 }, () => other.insert(newJob()))
    const ref = refOf(await store.place(epoch, job.id, WHERE))
    await Promise.all([...noise, store.start(epoch, ref, { tree: 'marker', actor: 'machine:gpu1' })])
    await expect
      .poll(() => seen.map(({ action }) => action), { timeout: 15_000 })
      .toEqual(['submit', 'ready', 'place', 'start'])
    first.abort()
    await all

    await other.note(job.id, 'note', 'user:ada', { text: 'while nobody watched' })
    const after = seen.at(-1)?.seq ?? 0
    const rest = collect(store.watch({ after, jobId: job.id, signal: second.signal }), seen)
    await store.finish(epoch, ref, { outcome: 'succeeded', exitCode: 0 }, 'machine:gpu1')
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(6)
    second.abort()
    await rest
    expect(seen).toEqual(await store.history(job.id))
    expect(seen[4]?.sentence).toBe('while nobody watched')
  })

  test('14 a watcher of some actions sees those alone, from the first of them on, of one job and of all', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const { job } = await store.insert(newJob())
    const ends = new AbortController()
    const [ofOne, ofAll]: [JobEventRecord[], JobEventRecord[]] = [[], []]
    const actions = ['ready', 'succeed', 'cancel'] as const
    const watches = [
      collect(store.watch({ after: 0, jobId: job.id, actions, signal: ends.signal }), ofOne),
      collect(store.watch({ after: 0, actions, signal: ends.signal }), ofAll),
    ]
    await expect.poll(() => ofOne.length + ofAll.length, { timeout: 15_000 }).toBe(2)
    const ref = refOf(await store.place(epoch, job.id, WHERE))
    await store.start(epoch, ref, { tree: 'marker', actor: 'machine:gpu1' })
    const { job: second } = await store.insert(newJob())
    await store.finish(epoch, ref, { outcome: 'succeeded', exitCode: 0 }, 'machine:gpu1')
    await expect.poll(() => ofOne.map(({ action }) => action), { timeout: 15_000 }).toEqual(['ready', 'succeed'])
    await expect
      .poll(() => ofAll.map(({ action, jobId }) => [action, jobId]))
      .toEqual([
        ['ready', job.id],
        ['ready', second.id],
        ['succeed', job.id],
      ])
    ends.abort()
    await Promise.all(watches)
  })

  test('hostile text: SQL, __proto__, NUL and lone surrogates are stored as they are or refused', async () => {
    const store = await freshStore(factory)
    const evil = `'); DROP TABLE job; --`
    const input: unknown = JSON.parse('{"__proto__":{"x":1},"nul":"a\\u0000b","lone":"\\ud800"}')
    const job = newJob({ labels: { [evil]: evil }, owner: evil, queue: evil })
    const spec = { ...job.spec, input: input as typeof job.spec.input }
    await store.insert({ ...job, spec })
    const back = await store.get(job.id)
    expect(back).toMatchObject({ owner: evil, queue: evil, labels: { [evil]: evil } })
    expect(canonicalJson(back?.spec.input)).toBe(canonicalJson(input))
    expect((await store.list({ labels: { [evil]: evil }, owner: evil }, { limit: 5 })).jobs).toHaveLength(1)
    for (const text of ['a\0b', 'a\ud800'])
      for (const attack of [
        () => store.get(text),
        () => store.cancel(job.id, text, ''),
        () => store.list({ owner: text }, { limit: 5 }),
      ])
        await expect(attack()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(store.list({}, { limit: 5, after: evil })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
}

async function collect(events: AsyncIterable<JobEventRecord>, into: JobEventRecord[]): Promise<void> {
  for await (const event of events) into.push(event)
}
