/** Consuming: what happens to a message when its handler returns, throws, settles, hangs, is closed or is robbed. */
import { performance } from 'node:perf_hooks'
import { currentJob, withJob, type JobContext } from '@muster/core'
import { expect, test, vi } from 'vitest'
import { empty, eventually, gate, start } from './kit.js'

vi.setConfig({ testTimeout: 20_000 })

test('a handler that returns acknowledges', async () => {
  const { q } = await start()
  const seen: unknown[] = []
  q.consume('q', ({ body }) => seen.push(body))
  await q.publishMany(
    'q',
    [1, 2, 3].map((body) => ({ body })),
  )
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(seen).toEqual([1, 2, 3])
})

test('a handler that throws retries later, and the last try leaves a dead letter with what it said', async () => {
  const { q, backend } = await start()
  const tries: number[] = []
  const handler = ({ tries: n }: { tries: number }): never => {
    tries.push(n)
    throw new Error(`no ${n}`)
  }
  q.consume('q', handler, { retry: (n) => n * 10 })
  await q.publish('q', 'stubborn')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, dead: 1 }))
  expect(tries).toEqual([0, 1, 2])
  const { letters } = await backend.browseDead('q', { limit: 1 })
  expect(letters).toMatchObject([{ reason: 'max-tries', detail: 'no 2', tries: 3 }])
})

test('a handler may end its delivery itself, whatever it does afterwards', async () => {
  const { q } = await start()
  const consumer = q.consume('q', async (delivery) => {
    if (delivery.body === 'refuse') await delivery.dead('no')
    else await delivery.ack()
    throw new Error('after all')
  })
  await q.publishMany('q', [{ body: 'refuse' }, { body: 'take' }])
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, dead: 1 }))
  await consumer.close()
})

test('never more handlers than the concurrency, and nothing is held beyond them: a late 9 goes next', async () => {
  const { q } = await start()
  const gates = [gate(), gate()]
  const order: unknown[] = []
  let [running, most] = [0, 0]
  await q.publishMany(
    'q',
    Array.from({ length: 20 }, (_, n) => ({ body: n })),
  )
  q.consume(
    'q',
    async ({ body }) => {
      most = Math.max(most, ++running)
      order.push(body)
      if (typeof body === 'number') await gates[body]?.opened
      running--
    },
    { concurrency: 2 },
  )
  await eventually(() => expect(order).toEqual([0, 1]))
  expect(await q.countQueueMessages('q')).toMatchObject({ ready: 18, leased: 2 })
  await q.publish('q', 'late', { priority: 9 })
  gates[0]?.open()
  await eventually(() => expect(order.length).toBeGreaterThan(2))
  expect(order[2]).toBe('late')
  gates[1]?.open()
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(most).toBe(2)
})

test('the lease is extended while the handler runs', async () => {
  const { q } = await start()
  const [crashes, done] = [[] as number[], gate()]
  const began = performance.now()
  q.consume(
    'q',
    async (delivery) => {
      crashes.push(delivery.crashes)
      await vi.waitUntil(() => performance.now() - began > 1_700, { timeout: 15_000 })
      done.open()
    },
    { leaseMs: 800 },
  )
  await q.publish('q', 'long')
  await done.opened
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(crashes).toEqual([0])
})

test('a handler whose lease is lost hears of it, and its return changes nothing', async () => {
  const { q } = await start()
  const lost: unknown[] = []
  const crashes: number[] = []
  q.consume(
    'q',
    async (delivery, { signal }) => {
      crashes.push(delivery.crashes)
      if (delivery.crashes > 0) return
      const end = performance.now() + 150
      while (performance.now() < end); // holds up the event loop, and with it every extension
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      lost.push(signal.reason)
    },
    { leaseMs: 60, concurrency: 2 },
  )
  await q.publish('q', 'robbed')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  await eventually(() => expect(lost).toMatchObject([{ code: 'LEASE_LOST' }]))
  expect(crashes).toEqual([0, 1])
})

test('31 close lets the handlers finish, takes no more and loses nothing', async () => {
  const { q } = await start()
  const [reached, finish] = [gate(), gate()]
  const done: unknown[] = []
  await q.publishMany(
    'q',
    Array.from({ length: 10 }, (_, n) => ({ body: n })),
  )
  const consumer = q.consume(
    'q',
    async ({ body }) => {
      reached.open()
      await finish.opened
      done.push(body)
    },
    { concurrency: 3 },
  )
  await reached.opened
  const closing = Promise.all([consumer.close(), consumer.close()])
  finish.open()
  await closing
  expect(done).toEqual([0, 1, 2])
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 7 })
  expect(await q.receiveMessage('q')).toMatchObject({ body: 3, tries: 0, crashes: 0 })
})

test('closing the orchestrator closes its consumers first', async () => {
  const { q, backend } = await start()
  const [reached, finish] = [gate(), gate()]
  await q.publishMany('q', [{ body: 1 }, { body: 2 }])
  q.consume('q', async () => {
    reached.open()
    await finish.opened
  })
  await reached.opened
  const closing = q.close()
  finish.open()
  await closing
  expect(await backend.counts('q')).toMatchObject({ ...empty, ready: 1 })
})

test('aborting aborts the handlers, and what they then fail at goes back uncounted', async () => {
  const { q } = await start()
  const [reached, abort] = [gate(), new AbortController()]
  await q.publishMany('q', [{ body: 1 }, { body: 2 }])
  const consumer = q.consume(
    'q',
    (_, { signal }) => {
      reached.open()
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    },
    { signal: abort.signal },
  )
  await reached.opened
  abort.abort()
  await consumer.close()
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 2 })
  expect(await q.receiveMessage('q')).toMatchObject({ body: 1, tries: 0, crashes: 0 })
})

test('a consumer that begins aborted handles nothing', async () => {
  const { q } = await start()
  await q.publish('q', 1)
  const consumer = q.consume('q', () => expect.fail('handled'), { signal: AbortSignal.abort() })
  await consumer.close()
  expect(await q.countQueueMessages('q')).toMatchObject({ ready: 1 })
})

test('a body that is no JSON becomes a dead letter and stops nobody', async () => {
  const { q, backend } = await start()
  const seen: unknown[] = []
  await backend.publish('q', [{ body: Uint8Array.of(0xff) }])
  await q.publish('q', 'fine')
  q.consume('q', ({ body }) => seen.push(body))
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, dead: 1 }))
  expect(seen).toEqual(['fine'])
})

test('a handler runs in no job context, whoever started the consumer', async () => {
  const { q } = await start()
  const seen: (JobContext | undefined)[] = []
  withJob({ jobId: 'a' }, () => q.consume('q', () => seen.push(currentJob())))
  await withJob({ jobId: 'b' }, () => q.publish('q', 1))
  await eventually(() => expect(seen).toHaveLength(1))
  expect(seen).toEqual([undefined])
})

test('consume refuses a wrong queue and a misspelt option at once', async () => {
  const { q } = await start()
  expect(() => q.consume('', () => undefined)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => q.consume('q', () => undefined, { concurency: 2 } as never)).toThrow(/concurency/)
  expect(() => q.consume('q', () => undefined, { concurrency: 0 })).toThrow(/concurrency/)
})
