/**
 * The backend of a run of the integration tests: `MUSTER_TEST_BACKEND=redis` (or `rabbitmq`) starts such a server for the run, and every
 * muster that a test opens without saying otherwise uses it, through MUSTER_BACKEND. Records have queues of their own, so
 * the tests share the server as strangers would.
 */
import type { QueueServer, RabbitServer } from '@muster/testing/servers'

const BACKENDS = ['local', 'redis', 'rabbitmq'] as const

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  const name = process.env['MUSTER_TEST_BACKEND'] ?? 'local'
  if (!(BACKENDS as readonly string[]).includes(name))
    throw new Error(`MUSTER_TEST_BACKEND: expected one of ${BACKENDS.join(', ')}, got ${JSON.stringify(name)}`)
  if (name === 'local') return undefined
  const { startRabbit, startRedis } = await import('@muster/testing/servers')
  const server: QueueServer | RabbitServer = name === 'redis' ? await startRedis() : await startRabbit()
  process.env['MUSTER_BACKEND'] = server.url
  return () => server.remove()
}
