/**
 * What the address says about Redis. Invariant: an option that is not known here is refused, and nothing of it is a secret but the
 * password, which goes nowhere but to the server.
 */
import { MusterError, parseDuration } from '@muster/core'
import type { ServerAddress } from '../../address.js'

/** The settings of one opened backend. */
export interface RedisConfig {
  readonly address: ServerAddress
  readonly namespace: string
  /** The number of the database. */
  readonly database: number
  readonly connectTimeoutMs: number
  /** How long the server may take to answer before the connection counts as dead. */
  readonly commandTimeoutMs: number
}

const OPTIONS = ['connectTimeout', 'commandTimeout'] as const

/** Reads the options of an address: `?connectTimeout=5s&commandTimeout=5s`. Throws CONFIG_INVALID. */
export function readConfig(address: ServerAddress, namespace: string): RedisConfig {
  const { options, path } = address
  for (const key of Object.keys(options))
    if (!OPTIONS.some((known) => known === key)) throw wrong(key, 'is no option of Redis', OPTIONS.join(', '))
  if (!/^\d{0,9}$/.test(path)) throw wrong('the path', 'is no number of a database', '0')
  if (address.hosts.length > 1 && Number(path) !== 0) throw wrong('the path', 'a Redis Cluster has only database', '0')
  return {
    address,
    namespace,
    database: Number(path),
    connectTimeoutMs: duration('connectTimeout', options['connectTimeout'] ?? '5s'),
    commandTimeoutMs: duration('commandTimeout', options['commandTimeout'] ?? '5s'),
  }
}

function duration(key: string, text: string): number {
  const ms = parseDuration(text, key)
  if (ms < 100 || ms > 300_000) throw wrong(key, `is '${text}'`, '100ms to 5m')
  return ms
}

function wrong(key: string, what: string, expected: string): MusterError {
  return new MusterError('CONFIG_INVALID', `backend: ${key} ${what}`, { hint: `Use: ${expected}.`, details: { key } })
}
