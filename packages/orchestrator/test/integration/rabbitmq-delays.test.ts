/** Delays on RabbitMQ: whose queues have to be made first, over a slow way; and a kill while they end. Each test has a vhost of its own. */
import { openBackend, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { tcpProxy } from '@muster/testing'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

/** What a byte takes, to and fro each. */
const WAY_MS = 100
const DELAYS_MS = [2_500, 3_500]

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

async function open(url: string): Promise<QueueBackend> {
  const backend = await openBackend(url, { namespace: 'n' })
  onTestFinished(() => backend.close())
  return backend
}

const body = new TextEncoder().encode('late?')
const receive = (backend: QueueBackend): Promise<readonly RawDelivery[]> =>
  backend.receive({ queue: 'q', max: 1, waitMs: 10_000, leaseMs: 60_000 })

test.each(DELAYS_MS)(
  'a delay of %i ms counts from the call, also while its queues are being made, and is never cut short',
  async (delayMs) => {
    const url = await server.vhost()
    const way = await tcpProxy(server)
    onTestFinished(() => way.close())
    const near = await open(url)
    const far = await open(url.replace(`${server.host}:${server.port}`, `${way.host}:${way.port}`))
    await far.publish('q', [{ body }])
    await receive(near)
    way.delay(WAY_MS)
    const called = performance.now()
    await far.publish('q', [{ body, delayMs }])
    const tookMs = performance.now() - called
    // Some questions one after the other, of two ways each: without that there is nothing to be seen here.
    expect(tookMs).toBeGreaterThan(6 * WAY_MS)
    expect(await receive(near)).toHaveLength(1)
    const lateMs = performance.now() - called - delayMs
    expect(lateMs).toBeGreaterThanOrEqual(0)
    expect(lateMs).toBeLessThan(tookMs - 2 * WAY_MS)
  },
)

test('killed while delays end one after the other, the server has every message that it confirmed', async () => {
  const backend = await open(await server.vhost())
  const accepted = new Set<string>()
  const publishing = (async () => {
    for (;;) {
      const [published] = await backend.publish('q', [{ body, delayMs: 1_000 }])
      if (published?.status !== 'accepted') return
      accepted.add(published.id)
    }
  })()
  // Longer than a server takes to write down what it need not confirm, as long as it has nothing else to do.
  await expect.poll(async () => (await backend.counts('q')).ready).toBeGreaterThan(100)
  await sleep(1_000)
  await server.kill()
  await publishing.catch(() => undefined)
  await server.start()
  expect(accepted.size).toBeGreaterThan(200)
  const found = new Set<string>()
  const look = async (): Promise<number> => {
    const deliveries = await backend.receive({ queue: 'q', max: 1_000, waitMs: 0, leaseMs: 60_000 }).catch(() => [])
    for (const { id } of deliveries) found.add(id)
    return [...accepted].filter((id) => !found.has(id)).length
  }
  await expect.poll(look, { timeout: 30_000 }).toBe(0)
}, 60_000)
