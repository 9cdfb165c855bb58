/** The RabbitMQ backend against the contract of its seam, on a server of its own: classic queues, then quorum queues. */
import { silentLogger, systemIds } from '@muster/core'
import { parseAddress } from '@muster/orchestrator'
import { queueBackendSuite, type QueueBackendFactory } from '@muster/testing'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { afterAll, beforeAll } from 'vitest'
import { capabilitiesOf, readConfig } from '../../src/backends/rabbitmq/config.js'
import { open } from '../../src/backends/rabbitmq/rabbitmq.js'

const QUEUE = process.env['MUSTER_RABBIT_QUEUE'] ?? 'classic'
const OPTIONS = `?queue=${QUEUE}`

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

const openAt = (url: string): QueueBackendFactory['open'] => {
  return async ({ namespace, clock }) =>
    open({ namespace, clock, ids: systemIds, logger: silentLogger }, await parseAddress(url + OPTIONS))
}
const described = readConfig(await parseAddress(`amqp://localhost${OPTIONS}`), 'any')

queueBackendSuite({
  name: `rabbitmq ${QUEUE}`,
  capabilities: capabilitiesOf(described),
  open: (options) => openAt(server.url)(options),
  processes: {
    get config() {
      return server.url + OPTIONS
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
      const { stdout } = await server.ctl('list_queues', 'name')
      return { queues: stdout.split('\n').filter((line) => line !== '').length }
    },
    proxied: ({ host, port }) => {
      const url = server.url.replace(`${server.host}:${server.port}`, `${host}:${port}`)
      return { open: openAt(url), config: url + OPTIONS }
    },
  },
})
