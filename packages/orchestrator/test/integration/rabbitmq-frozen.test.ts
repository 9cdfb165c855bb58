/** A process that was away for longer than RabbitMQ waits: what it finds in its socket is with somebody else. */
import { openBackend, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

async function open(): Promise<QueueBackend> {
  const backend = await openBackend(`${await server.vhost()}?heartbeat=1s`, { namespace: 'n' })
  onTestFinished(() => backend.close())
  return backend
}

/** Nothing of this process runs for so long; the kernel goes on receiving for it. */
function freeze(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

const message = (text: string, delayMs = 0) => ({ body: Buffer.from(text), delayMs })
const text = ({ body }: RawDelivery): string => Buffer.from(body).toString()

/** Every delivery is acknowledged at once; the outcomes by message. */
function acknowledging(backend: QueueBackend, seen: [string, number, string][]) {
  return async (delivery: RawDelivery): Promise<void> => {
    const [outcome = ''] = await backend.settle([{ as: 'ack', receipt: delivery.receipt }])
    seen.push([text(delivery), delivery.crashes, outcome])
  }
}

/** A standing consumer that acknowledges all; what it saw. */
async function consuming(backend: QueueBackend): Promise<[string, number, string][]> {
  const seen: [string, number, string][] = []
  const take = acknowledging(backend, seen)
  const subscription = await backend.subscribe?.({
    queue: 'q',
    slots: 4,
    leaseMs: 60_000,
    onDelivery: (delivery) => void take(delivery),
  })
  onTestFinished(() => subscription?.close())
  return seen
}

test('frozen past three heartbeats, a consumer begins nothing that the server has given to others', async () => {
  const backend = await open()
  const seen = await consuming(backend)
  await backend.publish('q', [message('a', 1_000), message('b', 1_000)])
  freeze(6_000)
  await expect.poll(() => seen.length).toBe(2)
  // Whoever had got them first and vanished was this process.
  expect(seen.sort()).toEqual([
    ['a', 1, 'settled'],
    ['b', 1, 'settled'],
  ])
})

test('a receive that waited through the freeze brings nothing that the server has given to others', async () => {
  const backend = await open()
  const seen: [string, number, string][] = []
  const take = acknowledging(backend, seen)
  // As many as there are: then it asks the server nothing more by itself.
  const one = { queue: 'q', max: 1, leaseMs: 60_000 }
  const receiving = backend.receive({ ...one, waitMs: 60_000 })
  await backend.publish('q', [message('a', 1_000)])
  freeze(6_000)
  for (const delivery of await receiving) await take(delivery)
  if (seen.length === 0) for (const delivery of await backend.receive({ ...one, waitMs: 5_000 })) await take(delivery)
  expect(seen).toEqual([['a', 1, 'settled']])
})

test('frozen for less, it keeps its connection and what came meanwhile', async () => {
  const backend = await open()
  const seen = await consuming(backend)
  await backend.publish('q', [message('a', 500), message('b', 500), message('c', 500)])
  freeze(1_400)
  await expect.poll(() => seen).toEqual(['a', 'b', 'c'].map((name) => [name, 0, 'settled']))
})
