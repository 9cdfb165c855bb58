/**
 * The Redis backend against the contract of its seam, on a server of its own that syncs before it answers. `MUSTER_TEST_REDIS=cluster` takes
 * a Redis Cluster of three servers instead. A cluster tells its clients its own addresses, so that a proxy stands only before their first
 * look: what items 28 and 30 prove of broken connections, they prove of the single server.
 */
import { silentLogger, systemIds } from '@muster/core'
import { parseAddress } from '@muster/orchestrator'
import { queueBackendSuite, type QueueBackendFactory } from '@muster/testing'
import { startRedis, startRedisCluster, type QueueServer, type RedisNode } from '@muster/testing/servers'
import { afterAll, beforeAll } from 'vitest'
import { REDIS_CAPABILITIES, open } from '../../src/backends/redis/redis.js'

const clustered = process.env['MUSTER_TEST_REDIS'] === 'cluster'

let server: QueueServer & { readonly nodes?: readonly RedisNode[] }
beforeAll(async () => {
  server = clustered
    ? await startRedisCluster()
    : await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
})
afterAll(() => server.remove())

const openAt = (url: string): QueueBackendFactory['open'] => {
  return async ({ namespace, clock }) =>
    open({ namespace, clock, ids: systemIds, logger: silentLogger }, await parseAddress(url))
}

queueBackendSuite({
  name: clustered ? 'redis cluster' : 'redis',
  capabilities: REDIS_CAPABILITIES,
  open: (options) => openAt(server.url)(options),
  processes: {
    get config() {
      return server.url
    },
  },
  server: {
    get host() {
      return server.host
    },
    get port() {
      return server.port
    },
    kill: () => server.kill(),
    stop: () => server.stop(),
    start: () => server.start(),
    pause: () => server.pause(),
    unpause: () => server.unpause(),
    holdings: async () => {
      const asked = (server.nodes ?? [{ port: 6379 }]).map(({ port }) => server.exec(`redis-cli -p ${port} DBSIZE`))
      return { keys: (await Promise.all(asked)).reduce((sum, { stdout }) => sum + Number(stdout), 0) }
    },
    proxied: ({ host, port }) => {
      // Of a cluster the first address alone, or the others would be taken instead.
      const url = `redis://${host}:${port}`
      return { open: openAt(url), config: url }
    },
  },
})
