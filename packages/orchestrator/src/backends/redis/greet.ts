/**
 * What is said when a connection stands: who we are, which database, and once what kind of server this is. Invariant: no connection is used
 * whose server refused one of these, so nothing is ever written to another database than the one that was asked for.
 */
import { MusterError, type Logger } from '@muster/core'
import type { RedisConfig } from './config.js'
import type { Connection } from './connection.js'
import { replyCode } from './errors.js'

/** The oldest server whose scripts see their own writes replicated as we need them, and whose commands we use. */
const OLDEST = [6, 2] as const

/** Proves who we are and chooses the database. Rejects with what the server answered. */
export async function greet(connection: Connection, config: RedisConfig): Promise<void> {
  const { address, database, connectTimeoutMs } = config
  const { user, password } = address
  if (password !== undefined)
    await connection
      .call('auth', user === undefined ? [password] : [user, password], connectTimeoutMs)
      .catch((error: unknown) => {
        // The server wants none: what protects it is something else.
        if (!(error instanceof Error && / without any password configured /.test(error.message))) throw error
      })
  if (database === 0) await connection.call('ping', [], connectTimeoutMs)
  else await connection.call('select', [String(database)], connectTimeoutMs).catch(noDatabase)
}

function noDatabase(error: unknown): never {
  if (replyCode(error) !== 'ERR') throw error
  throw new MusterError('CONFIG_INVALID', 'backend: the Redis server has no database of that number', {
    hint: 'A server has 16 unless its configuration says otherwise, a Redis Cluster has only 0.',
    cause: error,
  })
}

/** What INFO says. */
export type Facts = ReadonlyMap<string, string>

/** Reads what INFO says; nothing where we may not ask. */
export async function readFacts(connection: Connection): Promise<Facts> {
  const text = await optional(connection.call('info', []))
  const lines = text instanceof Buffer ? text.toString().split('\r\n') : []
  return new Map(lines.flatMap((line) => (line.includes(':') ? [splitOnce(line)] : [])))
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf(':')
  return [line.slice(0, at), line.slice(at + 1)]
}

/** Refuses a server that is too old. Throws CONFIG_INVALID. */
export function requireVersion(facts: Facts, { address }: RedisConfig): void {
  const version = facts.get('redis_version')
  if (version === undefined) return
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  throw new MusterError('CONFIG_INVALID', `Redis at ${address.shown} is version ${version}`, {
    hint: `Use Redis ${OLDEST.join('.')} or newer, or Valkey.`,
    details: { version },
  })
}

/** What each logger was told of risks. */
const told = new WeakMap<Logger, Set<string>>()

/** Says, once for a logger, which settings of the server put messages at risk. Where we may not ask we say nothing. */
export async function warnOfRisks(
  connection: Connection,
  facts: Facts,
  config: RedisConfig,
  logger: Logger,
): Promise<void> {
  const settings = await readSettings(connection)
  const risks = risksOf(facts, settings)
  if (risks.length === 0) return
  const text = `Redis at ${config.address.shown}: ${risks.join('; ')}`
  const before = told.get(logger) ?? new Set()
  if (before.has(text)) return
  told.set(logger, before.add(text))
  logger.warn({ server: config.address.shown, risks }, text)
}

async function readSettings(connection: Connection): Promise<ReadonlyMap<string, string>> {
  const settings = new Map<string, string>()
  for (const name of ['appendonly', 'appendfsync', 'save', 'maxmemory-policy']) {
    const answer = await optional(connection.call('config', ['get', name]))
    if (Array.isArray(answer) && answer.length === 2) settings.set(name, String(answer[1]))
  }
  return settings
}

/** The risks, each in a sentence. */
export function risksOf(facts: Facts, settings: ReadonlyMap<string, string>): string[] {
  const risks: string[] = []
  const log =
    settings.get('appendonly') ??
    (facts.has('aof_enabled') ? (facts.get('aof_enabled') === '1' ? 'yes' : 'no') : undefined)
  if (log === 'no' && settings.get('save') === '')
    risks.push('it saves nothing (appendonly no, no save), so a restart of the server loses every message')
  else if (log === 'no')
    risks.push('it saves snapshots only (appendonly no), so a crash of the server loses what came after the last')
  else if (settings.get('appendfsync') === 'everysec')
    risks.push('it syncs once a second (appendfsync everysec), so a power cut loses up to two seconds of messages')
  else if (settings.get('appendfsync') === 'no')
    risks.push('it leaves syncing to the system (appendfsync no), so a power cut loses up to half a minute of messages')
  const eviction = settings.get('maxmemory-policy') ?? facts.get('maxmemory_policy')
  if (eviction !== undefined && eviction !== 'noeviction')
    risks.push(`it may throw messages away when its memory is full (maxmemory-policy ${eviction}; set noeviction)`)
  if (facts.get('rdb_last_bgsave_status') === 'err' || facts.get('aof_last_write_status') === 'err')
    risks.push('it could not save its data the last time it tried')
  return risks
}

async function optional(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    const code = replyCode(error)
    if (code === 'NOPERM' || code === 'ERR') return undefined
    throw error
  }
}
