/**
 * From one line of config to a backend. Each is imported only when it is chosen, so its libraries are loaded by those who use it.
 * To add one: a line in {@link SERVERS}, and its port in address-url.ts.
 *
 * Invariant: what fails half-way is closed again, and no error repeats the text it was given: a URL may hold a password.
 */
import { randomInt } from 'node:crypto'
import { silentLogger, systemClock, systemIds } from '@muster/core'
import { parseAddress, type BackendConfig, type ServerAddress } from './address.js'
import { isServerScheme, schemeOf, wrong, type ServerScheme } from './address-url.js'
import type { BackendOptions, QueueBackend } from './backend.js'
import type { OrchestratorOptions } from './options.js'
import { Orchestrator } from './orchestrator.js'

const systemRandom = (): number => randomInt(2 ** 32) / 2 ** 32

/** Gives the function that opens a backend which is a server. */
type LoadBackend = () => Promise<(options: BackendOptions, address: ServerAddress) => Promise<QueueBackend>>

const REDIS: LoadBackend = async () => (await import('./backends/redis/redis.js')).open
const RABBITMQ: LoadBackend = async () => (await import('./backends/rabbitmq/rabbitmq.js')).open
const SERVERS: Readonly<Record<ServerScheme, LoadBackend>> = {
  redis: REDIS,
  rediss: REDIS,
  amqp: RABBITMQ,
  amqps: RABBITMQ,
}

/**
 * Opens the backend that `where` names: `'local'`, the URL of a server, or the object form. Throws CONFIG_INVALID where it cannot be
 * read, CLIENT_MISSING where the server's client library is not installed.
 */
export async function openBackend(
  where: string | BackendConfig,
  options: Partial<BackendOptions> = {},
): Promise<QueueBackend> {
  const tools = { namespace: 'muster', clock: systemClock, ids: systemIds, logger: silentLogger, ...options }
  const url = typeof where === 'string' ? where : where.url
  if (url === 'local') return (await import('./backends/local.js')).open(tools)
  const load = serverOf(url)
  const address = await parseAddress(where)
  const open = await load()
  return open(tools, address)
}

/** Opens an orchestrator over `options.backend` and declares `options.queues`. */
export async function openOrchestrator(options: OrchestratorOptions = {}): Promise<Orchestrator> {
  const { backend: chosen = 'local', queues = {}, random = systemRandom, ...rest } = options
  const ownsBackend = !isBackend(chosen)
  const backend = isBackend(chosen) ? chosen : await openBackend(chosen, rest)
  try {
    for (const [name, settings] of Object.entries(queues)) await backend.declare(name, settings)
  } catch (error) {
    if (ownsBackend) await backend.close()
    throw error
  }
  return new Orchestrator({
    backend,
    ownsBackend,
    clock: rest.clock ?? systemClock,
    logger: rest.logger ?? silentLogger,
    random,
  })
}

function isBackend(chosen: string | BackendConfig | QueueBackend): chosen is QueueBackend {
  return typeof chosen === 'object' && 'publish' in chosen
}

function serverOf(url: string): LoadBackend {
  const scheme = schemeOf(url)
  const server = scheme !== undefined && isServerScheme(scheme) ? SERVERS[scheme] : undefined
  if (server) return server
  const what = scheme === undefined ? 'something that is no URL' : `the scheme '${scheme}'`
  const known = ['local', ...Object.keys(SERVERS)]
  throw wrong(
    'backend',
    `expected 'local' or the URL of a queue server, got ${what}`,
    `Known are: ${known.join(', ')}.`,
  )
}
