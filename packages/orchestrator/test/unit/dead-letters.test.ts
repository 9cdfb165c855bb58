/** Dead letters through the facade: pages, iteration, redrive, clean; and the pauses before retries. */
import { expect, test } from 'vitest'
import { pausesOf, wholeMs } from '../../src/retry-policy.js'
import { empty, start, type Bench } from './kit.js'

async function bury({ q, backend }: Bench, n: number): Promise<void> {
  await q.publishMany(
    'q',
    Array.from({ length: n }, (_, body) => ({ body, id: `m${body}` })),
  )
  const deliveries = await backend.receive({ queue: 'q', max: n, waitMs: 0, leaseMs: 30_000 })
  await backend.settle(deliveries.map(({ receipt }) => ({ as: 'dead' as const, receipt, reason: 'no' })))
}

test('in pages, oldest first, with body, reason and counts', async () => {
  const bench = await start()
  await bury(bench, 5)
  const { q } = bench
  const first = await q.deadLetters('q', { limit: 3 })
  expect(first.letters).toMatchObject([
    { id: 'm0', body: 0, reason: 'rejected', detail: 'no', tries: 0, crashes: 0 },
    {},
    {},
  ])
  const second = await q.deadLetters('q', { limit: 3, cursor: first.cursor! })
  expect(second.letters.map(({ body }) => body)).toEqual([3, 4])
  expect(second.cursor).toBeUndefined()
})

test('all of them in a for await, page by page', async () => {
  const bench = await start()
  await bury(bench, 7)
  const seen: unknown[] = []
  for await (const { id } of bench.q.eachDeadLetter('q', { limit: 2 })) seen.push(id)
  expect(seen).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6'])
})

test('a body that is no JSON is shown as its bytes', async () => {
  const { q, backend } = await start()
  await backend.publish('q', [{ body: Uint8Array.of(0xff, 0) }])
  expect(await q.receiveMessage('q')).toBeUndefined()
  const { letters } = await q.deadLetters('q')
  expect(letters).toMatchObject([{ body: undefined, detail: 'the body is no JSON text' }])
  expect([...letters[0]!.bytes]).toEqual([0xff, 0])
})

test('redrive and clean, some or all', async () => {
  const bench = await start()
  const { q } = bench
  await bury(bench, 5)
  expect(await q.redrive('q', { ids: ['m4'] })).toBe(1)
  expect(await q.redrive('q', { limit: 2 })).toBe(2)
  expect(await q.cleanQueue('q', { state: 'dead', limit: 1 })).toBe(1)
  expect(await q.countQueueMessages('q')).toMatchObject({ ...empty, ready: 3, dead: 1 })
  expect((await q.deadLetters('q')).letters).toMatchObject([{ id: 'm3' }])
})

test('a wrong page is refused', async () => {
  const { q } = await start()
  await expect(q.deadLetters('q', { limit: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(q.deadLetters('q', { page: 1 } as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('pauses grow to their largest, with jitter on both sides, and are whole milliseconds that every backend takes', () => {
  const pauses = pausesOf({ firstMs: 100, factor: 2, maxMs: 1_000, jitter: 0.5 })
  expect([0, 1, 2, 3, 4, 50].map((tries) => pauses(tries, () => 0.5))).toEqual([100, 200, 400, 800, 1_000, 1_000])
  expect([pauses(0, () => 0), pauses(0, () => 0.999_999)]).toEqual([50, 150])
  expect(pausesOf(undefined)(1, () => 0.5)).toBe(20_000)
  expect(() => pausesOf({ factor: 0.5 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect([NaN, -1, 1.6, Infinity].map(wholeMs)).toEqual([0, 0, 2, 30 * 86_400_000])
})

test('a function that throws instead of giving a pause costs no message', async () => {
  const { q } = await start({ random: () => 0.5 })
  const retried = new Promise<number>((resolve) => q.on('retried', ({ delayMs }) => resolve(delayMs)))
  const fails = (): never => {
    throw new Error('no')
  }
  q.consume('q', fails, { retry: fails })
  await q.publish('q', 1)
  expect(await retried).toBe(5_000)
})
