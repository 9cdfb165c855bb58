/** The backends that a soak of queues can be asked for, each with a server of its own. Invariant: what was started is removed. */
import { silentLogger, systemIds, MusterError } from '@muster/core'
import { openBackend } from '@muster/orchestrator'
import type { QueueBackendFactory } from '@muster/testing/queue-history'
import {
  startRabbit,
  startRedis,
  startRedisCluster,
  type QueueServer,
  type RabbitServer,
} from '@muster/testing/servers'

/** A backend to be harmed, until `remove`. */
export interface Subject {
  readonly factory: QueueBackendFactory
  remove(): Promise<void>
}

/** A server, and what is added to its address. */
interface Started {
  readonly server: QueueServer
  readonly holdings: Holdings
  readonly options?: string
}

const SERVERS: Readonly<Record<string, () => Promise<Started>>> = {
  redis: async () => {
    const server = await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
    return { server, holdings: async () => ({ keys: Number((await server.exec('redis-cli DBSIZE')).stdout) }) }
  },
  'redis-cluster': async () => {
    const server = await startRedisCluster()
    const keysAt = async (port: number): Promise<number> =>
      Number((await server.exec(`redis-cli -p ${port} DBSIZE`)).stdout)
    const holdings: Holdings = async () => {
      const keys = await Promise.all(server.nodes.map(({ port }) => keysAt(port)))
      return { keys: keys.reduce((sum, one) => sum + one, 0) }
    }
    return { server, holdings }
  },
  rabbitmq: async () => rabbit(await startRabbit()),
  'rabbitmq-quorum': async () => ({ ...rabbit(await startRabbit()), options: '?queue=quorum' }),
}

function rabbit(server: RabbitServer): Started {
  const holdings: Holdings = async () => {
    const { stdout } = await server.ctl('list_queues', 'name')
    return { queues: stdout.split('\n').filter((line) => line !== '').length }
  }
  return { server, holdings }
}

type Holdings = () => Promise<Readonly<Record<string, number>>>

/** Starts what the backend of that name needs. Throws INVALID_ARGUMENT for another name. */
export async function startSubject(name: string): Promise<Subject> {
  if (name === 'local') return { factory: await factoryOf('local', 'local'), remove: async () => undefined }
  const start = SERVERS[name]
  if (start === undefined)
    throw new MusterError('INVALID_ARGUMENT', `there is no backend named ${JSON.stringify(name)}`, {
      hint: `There are: local, ${Object.keys(SERVERS).join(', ')}.`,
    })
  const { server, holdings, options = '' } = await start()
  const url = server.url + options
  try {
    const factory = await factoryOf(name, url)
    const proxied = ({ host, port }: { readonly host: string; readonly port: number }) => {
      // Of a cluster the first address alone: past the proxy the others would be taken.
      const [first = ''] = url.split(',')
      const config = first.replace(`${server.host}:${server.port}`, `${host}:${port}`)
      return { config, open: openAt(config) }
    }
    const whole = { ...factory, processes: { config: url }, server: { ...server, holdings, proxied } }
    return { factory: whole, remove: () => server.remove() }
  } catch (error) {
    await server.remove()
    throw error
  }
}

/** What a backend declares, it declares itself. */
async function factoryOf(name: string, url: string): Promise<QueueBackendFactory> {
  const backend = await openBackend(url, { namespace: 'ask' })
  await backend.close()
  return { name, capabilities: backend.capabilities, open: openAt(url) }
}

function openAt(url: string): QueueBackendFactory['open'] {
  return ({ namespace, clock }) => openBackend(url, { namespace, clock, ids: systemIds, logger: silentLogger })
}
