/** Quorum queues, where they differ: what they send to a consumer that is just ending comes back as if a holder had vanished. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openBackend, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

async function open(vhost?: string): Promise<QueueBackend> {
  const backend = await openBackend(`${vhost ?? (await server.vhost())}?queue=quorum`, { namespace: 'n' })
  onTestFinished(() => backend.close())
  return backend
}

const MESSAGES = 600

/** Publishes one by one, from several sides. */
async function publish(backend: QueueBackend, sides: number): Promise<void> {
  const side = async (): Promise<void> => {
    for (let n = 0; n < MESSAGES / sides; n++) await backend.publish('q', [{ body: Uint8Array.of(1) }])
  }
  await Promise.all(Array.from({ length: sides }, side))
}

/** Receives and settles until all have come; gives what was seen. */
async function consume(backend: QueueBackend, seen: RawDelivery[], waitMs: number): Promise<void> {
  while (seen.length < MESSAGES) {
    const got = await backend.receive({ queue: 'q', max: 20, waitMs, leaseMs: 30_000 })
    await backend.settle(got.map(({ receipt }) => ({ as: 'ack', receipt })))
    seen.push(...got)
    if ((await backend.counts('q')).dead > 0) return expect.fail('one has died, and nobody had it')
  }
}

test('who receives alone while others publish sees no crash', async () => {
  const backend = await open()
  const seen: RawDelivery[] = []
  await Promise.all([publish(backend, 4), consume(backend, seen, 0)])
  expect(seen.filter(({ crashes }) => crashes > 0)).toEqual([])
  expect(new Set(seen.map(({ id }) => id)).size).toBe(MESSAGES)
}, 60_000)

test('many receive while others publish: a message counts at most two crashes that were none, and none dies of them', async () => {
  const backend = await open()
  await backend.declare('q', { maxCrashes: 3 })
  const seen: RawDelivery[] = []
  await Promise.all([publish(backend, 4), ...[0, 0, 20, 20, 100, 100].map((ms) => consume(backend, seen, ms))])
  expect(Math.max(...seen.map(({ crashes }) => crashes))).toBeLessThanOrEqual(2)
  expect(new Set(seen.map(({ id }) => id)).size).toBe(MESSAGES)
}, 60_000)

test('dead letters that were looked at are there for whoever asks next, on a server that has much to write', async () => {
  const backend = await open()
  await backend.publish(
    'q',
    Array.from({ length: 50 }, () => ({ body: Uint8Array.of(1) })),
  )
  const noise = await open()
  let over = false
  const noisy = (async () => {
    const batch = Array.from({ length: 200 }, () => ({ body: new Uint8Array(10_000) }))
    while (!over) await noise.publish('noise', batch)
  })()
  for (let round = 0; round < 10; round++) {
    const got = await backend.receive({ queue: 'q', max: 50, waitMs: 5_000, leaseMs: 30_000 })
    await backend.settle(got.map(({ receipt }) => ({ as: 'dead', reason: 'no', receipt })))
    expect((await backend.browseDead('q', { limit: 50 })).letters).toHaveLength(50)
    expect(await backend.redrive('q')).toBe(50)
  }
  over = true
  await noisy
}, 60_000)

test('a queue that refuses for a moment is asked again', async () => {
  const vhost = await server.vhost()
  const backend = await open(vhost)
  await backend.declare('q')
  const limit = JSON.stringify({ 'max-length': 1, overflow: 'reject-publish' })
  const name = decodeURIComponent(new URL(vhost).pathname.slice(1))
  await server.ctl('set_policy', '-p', name, 'limit', ':q:', limit, '--apply-to', 'queues')
  // The limit holds a moment after it is reached: one after the other, until one waits.
  let last: Promise<unknown> = Promise.resolve()
  for (let waits: unknown; waits === undefined;) {
    last = backend.publish('q', [{ body: Uint8Array.of(1) }]).then(([outcome]) => outcome?.status)
    const first = await Promise.race([last, sleep(300, 'waits')])
    expect(first).toBeOneOf(['accepted', 'waits'])
    if (first === 'waits') waits = first
  }
  const got = await backend.receive({ queue: 'q', max: 50, waitMs: 5_000, leaseMs: 30_000 })
  await backend.settle(got.map(({ receipt }) => ({ as: 'ack', receipt })))
  expect(await last).toBe('accepted')
}, 60_000)
