/** The Redis backend against the contract of its seam, on a server of its own. */
import { silentLogger, systemIds } from '@muster/core'
import { parseAddress } from '@muster/orchestrator'
import { queueBackendSuite } from '@muster/testing'
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll } from 'vitest'
import { REDIS_CAPABILITIES, open } from '../../src/backends/redis/redis.js'

let server: QueueServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.remove())

queueBackendSuite({
  name: 'redis',
  capabilities: REDIS_CAPABILITIES,
  open: async ({ namespace, clock }) =>
    open({ namespace, clock, ids: systemIds, logger: silentLogger }, await parseAddress(server.url)),
})
