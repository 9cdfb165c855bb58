/** The Redis backend against the contract of its seam, on a server of its own that syncs before it answers. */
import { silentLogger, systemIds } from '@muster/core'
import { parseAddress } from '@muster/orchestrator'
import { queueBackendSuite, type QueueBackendFactory } from '@muster/testing'
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll } from 'vitest'
import { REDIS_CAPABILITIES, open } from '../../src/backends/redis/redis.js'

let server: QueueServer
beforeAll(async () => {
  server = await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
})
afterAll(() => server.remove())

const openAt = (url: string): QueueBackendFactory['open'] => {
  return async ({ namespace, clock }) =>
    open({ namespace, clock, ids: systemIds, logger: silentLogger }, await parseAddress(url))
}

queueBackendSuite({
  name: 'redis',
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
    holdings: async () => ({ keys: Number((await server.exec('redis-cli DBSIZE')).stdout) }),
    proxied: ({ host, port }) => {
      const url = server.url.replace(`${server.host}:${server.port}`, `${host}:${port}`)
      return { open: openAt(url), config: url }
    },
  },
})
