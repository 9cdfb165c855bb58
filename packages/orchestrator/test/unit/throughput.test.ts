/** How the facade travels: settlements in batches, receives that overlap, never more held than there are slots. */
import { expect, test } from 'vitest'
import { empty, eventually, gate, start } from './kit.js'

const many = (n: number): { body: number }[] => Array.from({ length: n }, (_, body) => ({ body }))

test('what ends in one turn is settled in one call, and receives ask for half the slots once the queue gives plenty', async () => {
  const { q, calls } = await start()
  let handled = 0
  await q.publishMany('q', many(1_000))
  q.consume('q', async () => handled++, { concurrency: 100 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(handled).toBe(1_000)
  expect(calls.settle.length).toBeLessThanOrEqual(30)
  expect(calls.receive.slice(0, 3)).toEqual([100, 50, 50])
  expect(calls.receive.length).toBeLessThanOrEqual(40)
})

test('no more is asked for than there are free slots, whatever ends when', async () => {
  const { q, backend } = await start()
  let [running, most, held] = [0, 0, 0]
  await q.publishMany('q', many(300))
  const consumer = q.consume(
    'q',
    async ({ body }) => {
      most = Math.max(most, ++running)
      held = Math.max(held, (await backend.counts('q')).leased ?? 0, consumer.active)
      if (Number(body) % 3 === 0) await new Promise((resolve) => setTimeout(resolve, Number(body) % 7))
      running--
    },
    { concurrency: 8 },
  )
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(most).toBe(8)
  expect(held).toBe(8)
})

test('a deep queue never holds up the event loop: timers go on beside a consumer of no-ops', async () => {
  const { q } = await start()
  await q.publishMany('q', many(50_000))
  let turns = 0
  const turn = (): void => {
    turns++
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)
  q.consume('q', () => undefined, { concurrency: 100 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  clearImmediate(next)
  expect(turns).toBeGreaterThan(200)
})

test('leases of all that is held are extended in one call, and there is one beat for all', async () => {
  const { q, calls } = await start()
  const finish = gate()
  await q.publishMany('q', many(50))
  q.consume('q', () => finish.opened, { concurrency: 50, leaseMs: 200 })
  await eventually(() => expect(calls.extend.length).toBeGreaterThan(5))
  expect(calls.extend.every((size) => size === 50)).toBe(true)
  finish.open()
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
})

test('a wrong argument of one verb is its own error, and no other settlement of the turn suffers', async () => {
  const { q } = await start()
  await q.publishMany('q', many(2))
  const [first, second] = [await q.receiveMessage('q'), await q.receiveMessage('q')]
  const wrong = first!.retry({ delayMs: 1.5 })
  const right = second!.ack()
  await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await right
  await first!.ack()
  expect(await q.countQueueMessages('q')).toMatchObject(empty)
})

test('of two verbs in one turn the first takes effect', async () => {
  const { q } = await start()
  await q.publish('q', 1)
  const delivery = await q.receiveMessage('q')
  const [ack, retry] = await Promise.allSettled([delivery!.ack(), delivery!.retry({ delayMs: 0 })])
  expect(ack.status).toBe('fulfilled')
  expect(retry).toMatchObject({ status: 'rejected', reason: { code: 'ALREADY_SETTLED' } })
})
