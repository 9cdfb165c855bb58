/** The facade: JSON in and out, typed refusals, one message by hand, closing. */
import { afterEach, expect, test } from 'vitest'
import { openBackend, openOrchestrator } from '../../src/open.js'
import type { OrchestratorOptions } from '../../src/options.js'
import type { Orchestrator } from '../../src/orchestrator.js'

const opened: Orchestrator[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((orchestrator) => orchestrator.close()))
})

async function start(options?: OrchestratorOptions): Promise<Orchestrator> {
  const orchestrator = await openOrchestrator(options)
  opened.push(orchestrator)
  return orchestrator
}

test.each([null, 0, '', 'ü\u0000', [1, [2]], { a: { b: 'c' }, __proto__x: true }])(
  'a JSON value comes back: %j',
  async (value) => {
    const q = await start()
    const { id, duplicate } = await q.publish('q', value, { priority: 7 })
    expect(duplicate).toBe(false)
    const delivery = await q.receiveMessage('q')
    expect(delivery).toMatchObject({ id, queue: 'q', body: value, priority: 7, tries: 0, crashes: 0, settled: false })
    await delivery?.ack()
    expect(delivery?.settled).toBe(true)
    expect(await q.receiveMessage('q')).toBeUndefined()
  },
)

test('publish refuses what is no JSON, a misspelt option and a wrong priority', async () => {
  const q = await start()
  const circular: unknown[] = []
  circular.push(circular)
  for (const value of [undefined, 1n, circular, () => 1])
    await expect(q.publish('q', value as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(q.publish('q', 1, { prioritty: 3 } as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(q.publish('q', 1, { priority: 10 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(q.publish('', 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(q.publish('q', 'x'.repeat(2 ** 20))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
  expect(await q.queues()).toEqual([])
})

test('an id that is present is a duplicate, and a full queue is an error', async () => {
  const q = await start({ queues: { small: { limit: 1 } } })
  expect(await q.publish('small', 1, { id: 'a' })).toEqual({ id: 'a', duplicate: false })
  expect(await q.publish('small', 2, { id: 'a' })).toEqual({ id: 'a', duplicate: true })
  await expect(q.publish('small', 3)).rejects.toMatchObject({ code: 'QUEUE_FULL', retryable: true })
})

test('publishMany names each failure by its index; the others are in', async () => {
  const q = await start({ queues: { small: { limit: 2 } } })
  const messages = [1, 2, 3, 4].map((body) => ({ body, id: `m${body}` }))
  const error: unknown = await q.publishMany('small', messages).catch((caught: unknown) => caught)
  expect(error).toMatchObject({
    code: 'PUBLISH_INCOMPLETE',
    retryable: true,
    details: { failures: [{ index: 2, id: 'm3', code: 'QUEUE_FULL' }, { index: 3 }] },
  })
  expect(await q.countQueueMessages('small')).toMatchObject({ ready: 2 })
  expect(await q.cleanQueue('small')).toBe(2)
  expect(await q.publishMany('small', messages.slice(2))).toEqual([
    { id: 'm3', duplicate: false },
    { id: 'm4', duplicate: false },
  ])
})

test('the verbs of a delivery do what they say, and say when they could not', async () => {
  const q = await start({ random: () => 0.5 })
  await q.publish('q', 'work')
  const first = await q.receiveMessage('q')
  await first?.extend(60_000)
  await first?.release()
  await expect(first?.ack()).rejects.toMatchObject({ code: 'ALREADY_SETTLED' })
  const second = await q.receiveMessage('q', { leaseMs: 30 })
  expect(second?.tries).toBe(0)
  const third = await q.receiveMessage('q', { waitMs: 10_000 })
  expect(third?.crashes).toBe(1)
  await expect(second?.ack()).rejects.toMatchObject({ code: 'LEASE_LOST' })
  await third?.retry({ delayMs: 0, reason: 'not yet' })
  const fourth = await q.receiveMessage('q')
  expect(fourth?.tries).toBe(1)
  await fourth?.dead('never')
  expect(await q.countQueueMessages('q')).toMatchObject({ ready: 0, delayed: 0, leased: 0, dead: 1 })
})

test('a retry without a delay waits for the backoff of its tries', async () => {
  const q = await start({ random: () => 0.5 })
  await q.publish('q', 'work')
  await (await q.receiveMessage('q'))?.retry()
  expect(await q.countQueueMessages('q')).toMatchObject({ ready: 0, delayed: 1 })
})

test('a body that is no JSON becomes a dead letter, and the next message is handed out', async () => {
  const backend = await openBackend('local')
  const q = await start({ backend })
  await backend.publish('q', [{ body: Uint8Array.of(0xff) }, { body: new TextEncoder().encode('"fine"') }])
  expect((await q.receiveMessage('q'))?.body).toBe('fine')
  const { letters } = await backend.browseDead('q', { limit: 1 })
  expect(letters).toMatchObject([{ reason: 'rejected', detail: 'the body is no JSON text' }])
  await backend.close()
})

test('close ends a waiting receive with nothing; twice is once; afterwards every method says so', async () => {
  const q = await openOrchestrator()
  const waiting = q.receiveMessage('q', { waitMs: 60_000 })
  await Promise.all([q.close(), q.close(), q[Symbol.asyncDispose]()])
  expect(await waiting).toBeUndefined()
  await expect(q.publish('q', 1)).rejects.toMatchObject({ code: 'BACKEND_CLOSED' })
  await expect(q.receiveMessage('q')).rejects.toMatchObject({ code: 'BACKEND_CLOSED' })
  await expect(q.queues()).rejects.toMatchObject({ code: 'BACKEND_CLOSED' })
  expect(() => q.consume('q', () => undefined)).toThrow(expect.objectContaining({ code: 'BACKEND_CLOSED' }))
})

test('a backend that was passed in is not closed by us', async () => {
  const backend = await openBackend('local')
  const q = await openOrchestrator({ backend })
  const waiting = q.receiveMessage('q', { waitMs: 60_000 })
  await q.close()
  expect(await waiting).toBeUndefined()
  await expect(q.publish('q', 1)).rejects.toMatchObject({ code: 'BACKEND_CLOSED' })
  expect(await backend.list()).toEqual([])
  await backend.close()
})

test('aborting a waiting receive rejects with AbortError', async () => {
  const q = await start()
  const abort = new AbortController()
  const waiting = q.receiveMessage('q', { waitMs: 60_000, signal: abort.signal })
  abort.abort()
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
})

test.each([
  ['kafka://user:hunter2@host', /scheme 'kafka'/],
  ['hunter2@host:6379', /no URL/],
  ['', /no URL/],
  ['hunter2', /no URL/],
  ['__proto__', /no URL|scheme/],
])('the backend %j is refused with what is known, and without its password', async (where, message) => {
  const error: unknown = await openBackend(where).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) as string })
  expect(JSON.stringify(error)).toContain('local')
  expect(JSON.stringify(error)).not.toContain('hunter2')
})
