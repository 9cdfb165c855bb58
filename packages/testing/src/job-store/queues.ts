/** Paused queues of jobs: a person's decision in the record, which binds every placement at once and holds up no other queue. */
import type { JobStore } from '@muster/job-manager'
import { expect, test } from 'vitest'
import {
  freshLocation,
  freshStore,
  lead,
  newJob,
  openAt,
  Process,
  refOf,
  running,
  SHORT,
  WHERE,
  type JobStoreFactory,
} from './kit.js'

const HERE = { ...WHERE, gpus: [] }

/** Declares them. */
export function queuesSection(factory: JobStoreFactory): void {
  test('a pause needs no leader, no job and no broker, is there for the next process, and its history stays', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    expect(await store.setQueuePaused('night', true, 'user:ada')).toBe(true)
    expect(await store.setQueuePaused('night', true, 'user:bob')).toBe(false)
    await store.close()
    const other = await openAt(factory, location)
    const at = expect.any(Number) as number
    expect([...(await other.pausedQueues())]).toEqual([['night', { by: 'user:ada', at }]])
    expect(await other.setQueuePaused('night', false, 'user:bob')).toBe(true)
    expect(await other.setQueuePaused('night', false, 'user:bob')).toBe(false)
    expect((await other.pausedQueues()).size).toBe(0)
    const history = [
      { seq: 1, paused: true, actor: 'user:ada', at },
      { seq: 2, paused: false, actor: 'user:bob', at },
    ]
    expect(await other.queueHistory('night')).toEqual(history)
    expect(await other.queueHistory('day')).toEqual([])
    for (const forgery of [
      `UPDATE queue_event SET actor = 'user:mallory'`,
      'DELETE FROM queue_event',
      `INSERT OR REPLACE INTO queue_event SELECT seq, queue, paused, 'user:mallory', at FROM queue_event`,
    ])
      await expect(factory.sql(location, forgery)).rejects.toThrow(/EVENT_APPEND_ONLY/)
    for (const name of ['', 'a\nb', 'a\0b', 'a\ud800', 'x'.repeat(256)])
      await expect(other.setQueuePaused(name, true, 'user:ada')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('what waits in a paused queue is not among the waiting, all else is, by priority, then age', async () => {
    const store = await freshStore(factory)
    const evil = `'); DROP TABLE job; --`
    const insert = async (queue: string, priority = 5) => (await store.insert(newJob({ queue, priority }))).job.id
    const [low, nine] = [await insert('day', 1), await insert('night', 9)]
    const [a, b, c] = [await insert('day'), await insert(evil), await insert('day')]
    const ids = async (limit = 10, excludeShapes: readonly string[] = []): Promise<string[]> =>
      (await store.waiting({ limit, excludeShapes })).map(({ id }) => id)
    expect(await ids()).toEqual([nine, a, b, c, low])
    await store.setQueuePaused('night', true, 'user:ada')
    expect(await ids()).toEqual([a, b, c, low])
    expect(await ids(2)).toEqual([a, b])
    const [first] = await store.waiting({ limit: 1 })
    expect(first).toMatchObject({ id: a, queue: 'day', priority: 5, attempt: 0 })
    expect(await ids(10, [first?.shape ?? ''])).toEqual([b])
    await store.setQueuePaused(evil, true, 'user:ada')
    expect(await ids()).toEqual([a, c, low])
    await store.setQueuePaused('day', true, 'user:ada')
    expect(await ids()).toEqual([])
    for (const queue of ['night', 'day', evil]) await store.setQueuePaused(queue, false, 'user:ada')
    expect(await ids()).toEqual([nine, a, b, c, low])
  })

  test('nothing of a paused queue is placed, what runs goes on, and an old epoch is refused first', async () => {
    const store = await freshStore(factory)
    const candidacy = store.stand('one')
    const { epoch } = await candidacy.won()
    const ref = await running(store, epoch, { queue: 'night' })
    const [waits, free] = [await store.insert(newJob({ queue: 'night' })), await store.insert(newJob())]
    await store.setQueuePaused('night', true, 'user:ada')
    const paused = { code: 'QUEUE_PAUSED', details: { queue: 'night' } }
    await expect(store.place(epoch, waits.job.id, HERE)).rejects.toMatchObject(paused)
    expect(await store.get(waits.job.id)).toMatchObject({ state: 'queued', attempt: 0 })
    await store.place(epoch, free.job.id, HERE)
    expect(await store.finish(epoch, ref, { outcome: 'succeeded', exitCode: 0 }, 'machine:gpu1')).toMatchObject({
      state: 'completed',
    })
    await candidacy.close()
    const next = await lead(store)
    await expect(store.place(epoch, waits.job.id, HERE)).rejects.toMatchObject({ code: 'SCHEDULER_SUPERSEDED' })
    await expect(store.place(next, waits.job.id, HERE)).rejects.toMatchObject(paused)
    await store.setQueuePaused('night', false, 'user:ada')
    const back = await store.place(next, waits.job.id, HERE)
    await store.setQueuePaused('night', true, 'user:ada')
    // Placed before: its start, and giving it back, go on; only then it waits again.
    await store.release(next, refOf(back), 'nothing was sent', 'leader:suite')
    await expect(store.place(next, waits.job.id, HERE)).rejects.toMatchObject(paused)
  })

  test('a pause and placements in one group: what comes after the pause is refused', async () => {
    const store = await freshStore(factory)
    const epoch = await lead(store)
    const ids = await Promise.all(Array.from({ length: 6 }, async () => (await store.insert(newJob())).job.id))
    const place = (id: string) => store.place(epoch, id, HERE).then(() => 'placed', codeOf)
    const before = ids.slice(0, 3).map(place)
    const paused = store.setQueuePaused('jobs.command', true, 'user:ada')
    const after = ids.slice(3).map(place)
    expect(await paused).toBe(true)
    expect(await Promise.all(before)).toEqual(['placed', 'placed', 'placed'])
    expect(await Promise.all(after)).toEqual(['QUEUE_PAUSED', 'QUEUE_PAUSED', 'QUEUE_PAUSED'])
    const resumed = store.setQueuePaused('jobs.command', false, 'user:ada')
    expect(await Promise.all(ids.slice(3).map(place))).toEqual(['placed', 'placed', 'placed'])
    expect(await resumed).toBe(true)
  })

  test('two processes place while another one pauses: not one placement is recorded after the pause', async () => {
    const location = await freshLocation(factory)
    const store = await openAt(factory, location)
    const epoch = await lead(store)
    await insertMany(store, 400, 'jobs.command')
    const orders = { module: factory.module, location, lease: SHORT, task: 'race', epoch, name: 'gpu1' } as const
    const racers = Array.from({ length: 2 }, () => new Process(orders))
    await Promise.race(racers.map((racer) => racer.line('placed')))
    await store.setQueuePaused('jobs.command', true, 'user:ada')
    const placed = async () => (await store.live()).length
    const then = await placed()
    expect(then).toBeLessThan(400)
    await Promise.all(racers.map((racer) => racer.ended()))
    expect(await placed()).toBe(then)
    expect(racers.flatMap(({ lines }) => lines)).toContain('refused QUEUE_PAUSED')
  })
}

async function insertMany(store: JobStore, count: number, queue: string): Promise<void> {
  for (let n = 0; n < count; n += 500)
    await Promise.all(Array.from({ length: Math.min(500, count - n) }, () => store.insert(newJob({ queue }))))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
