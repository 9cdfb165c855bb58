/**
 * What a server keeps of what it confirmed, for each setting that docs/guarantees.md speaks of: killed in the moment when publish
 * resolved, or ended gracefully, and started again with the data that it had.
 */
import { isMusterError } from '@muster/core'
import { openOrchestrator, type QueueCounts } from '@muster/orchestrator'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { expect, test } from 'vitest'

const SENT = 50

/** Has {@link SENT} messages confirmed, and then the server ended so and up again. */
async function survive(server: QueueServer, how: 'kill' | 'stop', backend: string, pause = false): Promise<void> {
  const before = await openOrchestrator({ backend })
  if (pause) await before.pause('mails')
  await before.publishMany(
    'mails',
    Array.from({ length: SENT }, (_, body) => ({ body })),
  )
  await server[how]()
  await before.close()
  await server.start()
}

/** How many of them are there then. */
async function kept(server: QueueServer, how: 'kill' | 'stop'): Promise<number> {
  await survive(server, how, server.url)
  return (await countsAt(server.url)).ready
}

async function countsAt(backend: string): Promise<QueueCounts> {
  const orchestrator = await openOrchestrator({ backend })
  try {
    return await orchestrator.countQueueMessages('mails')
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
      const backend = `${server.url}?queue=${kind}`
      // Within the first second of use, when a server has written least of what it knows.
      await survive(server, 'kill', backend, true)
      // One that answers is still opening its queues one by one: BACKEND_UNAVAILABLE, or a quorum queue that has no leader yet and counts 0.
      const refusals: unknown[] = []
      const look = (): Promise<unknown> => countsAt(backend).catch((error: unknown) => void refusals.push(error))
      await expect.poll(look, { timeout: 60_000, interval: 100 }).toMatchObject({ ready: SENT, paused: true })
      expect(refusals.filter((error) => !isMusterError(error) || !error.retryable)).toEqual([])
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
