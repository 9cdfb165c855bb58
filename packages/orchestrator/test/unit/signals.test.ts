/** The signal of a delivery: it fires on cancel, lease loss, timeout and shutdown, says which, and decides what becomes of the message. */
import { expect, test, vi } from 'vitest'
import { aborted, empty, eventually, gate, start } from './kit.js'

vi.setConfig({ testTimeout: 20_000 })

test('a handler that takes too long is told so, and its message is retried with that reason', async () => {
  const { q, backend } = await start()
  const reasons: unknown[] = []
  const timedOut: unknown[] = []
  q.on('timed-out', (event) => timedOut.push(event))
  q.consume(
    'q',
    async (_, { signal }) => {
      reasons.push(await aborted(signal))
      throw new Error('stopped')
    },
    { timeoutMs: 40, retry: { firstMs: 0 } },
  )
  const { id } = await q.publish('q', 'slow')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, dead: 1 }))
  expect(reasons).toHaveLength(3)
  expect(reasons).toMatchObject(reasons.map(() => ({ code: 'HANDLER_TIMEOUT' })))
  expect(timedOut).toMatchObject([1, 2, 3].map(() => ({ queue: 'q', id, timeoutMs: 40 })))
  const { letters } = await backend.browseDead('q', { limit: 1 })
  expect(letters[0]?.detail).toMatch(/took longer than 40 ms/)
})

test('one that returns although it was told to stop has done its work', async () => {
  const { q } = await start()
  q.consume('q', (_, { signal }) => aborted(signal), { timeoutMs: 20 })
  await q.publish('q', 'slow')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
})

test('after its timeout a lease is not extended: another gets the message of a handler that hangs', async () => {
  const { q } = await start()
  const [finish, crashes] = [gate(), [] as number[]]
  q.consume(
    'q',
    async (delivery) => {
      crashes.push(delivery.crashes)
      if (delivery.crashes === 0) await finish.opened
    },
    { timeoutMs: 30, leaseMs: 200, concurrency: 2 },
  )
  await q.publish('q', 'hangs')
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(crashes).toEqual([0, 1])
  finish.open()
})

test('cancel: the signal says so with its cause, and what then fails goes back uncounted', async () => {
  const { q } = await start()
  const [abort, reached, reasons] = [new AbortController(), gate(), [] as unknown[]]
  const handler = async (_: unknown, { signal }: { signal: AbortSignal }): Promise<never> => {
    reached.open()
    const reason = await aborted(signal)
    reasons.push(reason)
    throw reason
  }
  const consumer = q.consume('q', handler, { signal: abort.signal })
  await q.publish('q', 1)
  await reached.opened
  abort.abort(new Error('enough'))
  await consumer.close()
  expect(reasons).toMatchObject([{ code: 'DELIVERY_CANCELLED', cause: { message: 'enough' } }])
  expect(await q.receiveMessage('q')).toMatchObject({ tries: 0, crashes: 0 })
})

test('close with a limit: handlers have their time, then their signals abort, and what fails goes back uncounted', async () => {
  const { q } = await start()
  const [reached, reasons] = [gate(), [] as unknown[]]
  const consumer = q.consume(
    'q',
    async ({ body }, { signal }) => {
      if (body === 'quick') return
      reached.open()
      reasons.push(await aborted(signal))
      throw signal.reason as Error
    },
    { concurrency: 2 },
  )
  await q.publishMany('q', [{ body: 'long' }, { body: 'quick' }])
  await reached.opened
  await consumer.close({ drainMs: 30 })
  expect(reasons).toMatchObject([{ code: 'CONSUMER_CLOSED' }])
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 1 })
  expect(await q.receiveMessage('q')).toMatchObject({ body: 'long', tries: 0, crashes: 0 })
})

test('close hastens: called again with a limit it waits no longer than that', async () => {
  const { q } = await start()
  const [reached, reasons] = [gate(), [] as unknown[]]
  q.consume('q', async (_, { signal }) => {
    reached.open()
    reasons.push(await aborted(signal))
  })
  await q.publish('q', 'long')
  await reached.opened
  const patient = q.close()
  await Promise.all([q.close({ drainMs: 0 }), patient])
  expect(reasons).toMatchObject([{ code: 'CONSUMER_CLOSED' }])
})

test('one that ignores its signal is left behind: told, and its message is not settled', async () => {
  const { q, backend } = await start()
  const [reached, finish, abandoned] = [gate(), gate(), [] as unknown[]]
  q.on('abandoned', (event) => abandoned.push(event))
  const consumer = q.consume('q', async () => {
    reached.open()
    await finish.opened
  })
  const { id } = await q.publish('q', 'deaf')
  await reached.opened
  await consumer.close({ drainMs: 0, graceMs: 20 })
  expect(abandoned).toEqual([{ queue: 'q', id }])
  expect(await backend.counts('q')).toMatchObject({ ...empty, leased: 1 })
  finish.open()
})

test('a message received by hand: its signal fires when its lease has ended, and when the orchestrator is closed', async () => {
  const { q } = await start()
  await q.publishMany('q', [{ body: 'short' }, { body: 'long' }])
  const short = await q.receiveMessage('q', { leaseMs: 40 })
  const long = await q.receiveMessage('q')
  expect(await aborted(short!.signal)).toMatchObject({ code: 'LEASE_LOST' })
  expect(long!.signal.aborted).toBe(false)
  await q.close()
  expect(long!.signal.reason).toMatchObject({ code: 'CONSUMER_CLOSED' })
})

test('a settled message received by hand stays quiet, however long ago it was', async () => {
  const { q } = await start()
  await q.publish('q', 1)
  const delivery = await q.receiveMessage('q', { leaseMs: 30 })
  const { signal } = delivery!
  await delivery!.ack()
  await q.publish('q', 2)
  const next = await q.receiveMessage('q', { leaseMs: 60 })
  await aborted(next!.signal)
  expect(signal.aborted).toBe(false)
})

test('wrong limits of close are refused', async () => {
  const { q } = await start()
  await expect(q.close({ drain: 3 } as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(q.close({ drainMs: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
