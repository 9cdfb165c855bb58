/** The way to the backend is cut in the middle of the work: the facade waits, goes on by itself, says so, and rejects nothing unheard. */
import { expect, test } from 'vitest'
import { aborted, empty, eventually, gate, start } from './kit.js'

test('a consumer whose backend is away pauses, says so, and goes on by itself', async () => {
  const { q, cut } = await start()
  const events: string[] = []
  q.on('stalled', ({ retryInMs }) => events.push(`stalled ${retryInMs}`))
  q.on('recovered', () => events.push('recovered'))
  cut.add('receive')
  const seen: unknown[] = []
  q.consume('q', ({ body }) => seen.push(body))
  await q.publish('q', 'patience')
  await eventually(() => expect(events).toEqual(['stalled 100', 'stalled 200']))
  cut.clear()
  await eventually(() => expect(seen).toEqual(['patience']))
  expect(events.at(-1)).toBe('recovered')
})

test('a consumer that begins to pause ends at once when it is closed', async () => {
  const { q, cut } = await start()
  const stalled = gate()
  q.on('stalled', stalled.open)
  cut.add('receive')
  const consumer = q.consume('q', () => undefined)
  await stalled.opened
  await consumer.close()
})

test('a message that was handled while the backend was away is settled afterwards, and does not come again', async () => {
  const { q, cut, calls } = await start()
  let handled = 0
  cut.add('settle')
  q.consume('q', () => handled++)
  await q.publish('q', 1)
  await eventually(() => expect(calls.settle.length).toBeGreaterThan(1))
  cut.clear()
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(handled).toBe(1)
})

test('when the backend stays away until the lease has ended, that is told once and nothing is held any more', async () => {
  const { q, cut } = await start()
  const [told, handled] = [[] as string[], [] as number[]]
  q.on('lease-lost', ({ id }) => told.push(id))
  q.on('unconfirmed', ({ id }) => told.push(id))
  cut.add('settle').add('extend')
  const consumer = q.consume('q', ({ crashes }) => void handled.push(crashes), { leaseMs: 300 })
  const { id } = await q.publish('q', 1)
  await eventually(() => expect(told).toHaveLength(1))
  cut.clear()
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(told).toEqual([id])
  expect(handled).toEqual([0, 1])
  expect(consumer.active).toBe(0)
})

test('a lease that cannot be extended is lost at its end: the handler hears of it then, not at the next beat', async () => {
  const { q, cut } = await start()
  const lost: { after: number; reason: unknown }[] = []
  cut.add('extend')
  const published = performance.now()
  q.consume(
    'q',
    async ({ crashes }, { signal }) => {
      if (crashes > 0) return
      const reason = await aborted(signal)
      lost.push({ after: performance.now() - published, reason })
    },
    { leaseMs: 400 },
  )
  await q.publish('q', 1)
  await eventually(() => expect(lost).toMatchObject([{ reason: { code: 'LEASE_LOST' } }]))
  // The lease began after the publish, and how long the message took to its handler is part of it.
  expect(lost[0]!.after).toBeGreaterThanOrEqual(400)
  cut.clear()
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
})

test('a verb that cannot reach the backend rejects, and may be called again', async () => {
  const { q, cut } = await start()
  await q.publish('q', 1)
  const delivery = await q.receiveMessage('q')
  cut.add('settle')
  await expect(delivery!.ack()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
  cut.clear()
  await delivery!.ack()
  expect(await q.countQueueMessages('q')).toMatchObject(empty)
})

test('a backend that was closed under a consumer ends it, with an event and without a rejection', async () => {
  const { q, backend } = await start()
  const ended: unknown[] = []
  q.on('ended', ({ error }) => ended.push(error.code))
  const idle = gate()
  q.consume('q', idle.open)
  await q.publish('q', 1)
  await idle.opened
  await backend.close()
  await eventually(() => expect(ended).toEqual(['BACKEND_CLOSED']))
})

test('and it ends a loop, with its error', async () => {
  const { q, backend } = await start()
  const loop = (async () => {
    for await (const delivery of q.consume('q')) {
      await delivery.ack()
      await backend.close()
    }
  })()
  await q.publish('q', 1)
  await expect(loop).rejects.toMatchObject({ code: 'BACKEND_CLOSED' })
})
