/**
 * What a server keeps of what it confirmed, for each setting that docs/guarantees.md speaks of: killed in the moment when publish
 * resolved, or ended gracefully, and started again with the data that it had.
 */
import { openOrchestrator } from '@muster/orchestrator'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { expect, test, vi } from 'vitest'

const SENT = 50

/** How many of {@link SENT} confirmed messages are there after the server has ended so and is up again. */
async function kept(server: QueueServer, how: 'kill' | 'stop', options = ''): Promise<number> {
  const before = await openOrchestrator({ backend: server.url + options })
  await before.publishMany(
    'mails',
    Array.from({ length: SENT }, (_, body) => ({ body })),
  )
  await server[how]()
  await before.close()
  await server.start()
  // A RabbitMQ that answers is still opening its queues one by one: BACKEND_UNAVAILABLE, until this one is there.
  return vi.waitFor(() => readyOf(server.url + options), { timeout: 30_000, interval: 100 })
}

async function readyOf(backend: string): Promise<number> {
  const orchestrator = await openOrchestrator({ backend })
  try {
    return (await orchestrator.countQueueMessages('mails')).ready
  } finally {
    await orchestrator.close()
  }
}

async function using(starting: Promise<QueueServer>, work: (server: QueueServer) => Promise<void>): Promise<void> {
  const server = await starting
  try {
    await work(server)
  } finally {
    await server.remove()
  }
}

test('Redis without AOF: killed, it loses what came after its last snapshot; ended gracefully, it keeps all', () =>
  using(startRedis(), async (server) => {
    expect(await kept(server, 'kill')).toBe(0)
    expect(await kept(server, 'stop')).toBe(SENT)
  }))

test('Redis that saves nothing loses everything at each restart', () =>
  using(startRedis({ config: ['save ""'] }), async (server) => {
    expect(await kept(server, 'stop')).toBe(0)
  }))

test.each(['everysec', 'always', 'no'])(
  'Redis with AOF, appendfsync %s: killed, it keeps all that it confirmed',
  (fsync) =>
    using(startRedis({ config: ['appendonly yes', `appendfsync ${fsync}`] }), async (server) => {
      expect(await kept(server, 'kill')).toBe(SENT)
    }),
)

test.each(['classic', 'quorum'])(
  'RabbitMQ, %s queues: killed, it keeps all that it confirmed',
  (kind) =>
    using(startRabbit(), async (server) => {
      // The registry is as old as the installation: killed within seconds of making it, this server can lose that it is there.
      await readyOf(`${server.url}?queue=${kind}`)
      await server.stop()
      await server.start()
      expect(await kept(server, 'kill', `?queue=${kind}`)).toBe(SENT)
    }),
  120_000,
)

test('local: what waits ends with the process that holds it', async () => {
  const before = await openOrchestrator()
  await before.publish('mails', 1)
  await before.close()
  const after = await openOrchestrator()
  expect(await after.countQueueMessages('mails')).toMatchObject({ ready: 0 })
  await after.close()
})
