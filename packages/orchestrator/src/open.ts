/**
 * From one line of config to a backend. Each is imported only when it is chosen, so its libraries are loaded by those who use it.
 * To add one: a line in {@link BACKENDS}.
 */
import { randomInt } from 'node:crypto'
import { MusterError, silentLogger, systemClock, systemIds } from '@muster/core'
import type { BackendOptions, QueueBackend } from './backend.js'
import type { OrchestratorOptions } from './options.js'
import { Orchestrator } from './orchestrator.js'

const systemRandom = (): number => randomInt(2 ** 32) / 2 ** 32

type OpenBackend = (options: BackendOptions) => QueueBackend | Promise<QueueBackend>

const BACKENDS: Readonly<Record<string, () => Promise<OpenBackend>>> = {
  local: async () => (await import('./backends/local.js')).open,
}
/** Schemes that belong to a backend which this version does not contain. */
const ABSENT: readonly string[] = ['redis', 'rediss', 'amqp', 'amqps']

/**
 * Opens the backend that `where` names: `'local'`. Throws CONFIG_INVALID for a scheme that is unknown or not part of this version;
 * the message names the scheme only, since a URL may hold a password.
 */
export async function openBackend(where: string, options: Partial<BackendOptions> = {}): Promise<QueueBackend> {
  const scheme = /^[a-z][a-z0-9+.-]*(?=:\/\/|$)/i.exec(where)?.[0].toLowerCase() ?? ''
  const load = Object.hasOwn(BACKENDS, scheme) ? BACKENDS[scheme] : undefined
  if (load === undefined) throw unknownBackend(scheme)
  const open = await load()
  return open({ namespace: 'muster', clock: systemClock, ids: systemIds, logger: silentLogger, ...options })
}

/** Opens an orchestrator over `options.backend` and declares `options.queues`. */
export async function openOrchestrator(options: OrchestratorOptions = {}): Promise<Orchestrator> {
  const { backend: chosen = 'local', queues = {}, random = systemRandom, ...rest } = options
  const ownsBackend = typeof chosen === 'string'
  const backend = ownsBackend ? await openBackend(chosen, rest) : chosen
  for (const [name, settings] of Object.entries(queues)) await backend.declare(name, settings)
  return new Orchestrator({
    backend,
    ownsBackend,
    clock: rest.clock ?? systemClock,
    logger: rest.logger ?? silentLogger,
    random,
  })
}

function unknownBackend(scheme: string): MusterError {
  const known = Object.keys(BACKENDS).join(', ')
  const what = ABSENT.includes(scheme)
    ? `this version of muster does not contain the ${scheme} backend`
    : `expected a backend such as 'local', got ${scheme === '' ? 'something that is no URL' : `the scheme '${scheme}'`}`
  return new MusterError('CONFIG_INVALID', `backend: ${what}`, {
    hint: `Use one of: ${known}.`,
    details: { scheme, known },
  })
}
