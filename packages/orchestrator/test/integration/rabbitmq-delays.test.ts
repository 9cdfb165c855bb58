/** Delays on RabbitMQ whose queues have to be made first, over a slow way. Each test has a vhost of its own. */
import { openBackend, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { tcpProxy } from '@muster/testing'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
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
