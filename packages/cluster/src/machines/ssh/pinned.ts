/**
 * A pinned fingerprint names one key, and a host has several of different types: which one it shows is decided by what we ask
 * for first, and the fingerprint does not say its type. So a host that showed another key is asked for those of other types.
 */
import { isMusterError } from '@muster/core'
import type { Connection } from './connection.js'
import { connectThrough, type DialOptions } from './dial.js'
import { PIN_DIFFERS } from './host-key.js'
import type { Stage } from './login.js'

/** {@link connectThrough}, until the pinned key is shown or there is no other type of key to ask for. Throws as that does. */
export async function connectPinned(stages: readonly Stage[], options: DialOptions): Promise<Connection> {
  let first: unknown
  for (let way = stages; ;) {
    try {
      return await connectThrough(way, options)
    } catch (error) {
      const shown = shownInstead(error)
      // Of the further looks only what they found counts, not that there was no key of another type.
      if (shown === undefined) throw isMusterError(error, 'SSH_CONNECT_FAILED') ? (first ?? error) : error
      first ??= error
      way = withoutType(way, shown)
      if (way.at(-1)?.hostKeys.length === 0) throw first
    }
  }
}

function shownInstead(error: unknown): string | undefined {
  if (!isMusterError(error, 'HOST_KEY_CHANGED') || error.details['mismatch'] !== PIN_DIFFERS) return undefined
  return String(error.details['keyType'])
}

function withoutType(stages: readonly Stage[], keyType: string): readonly Stage[] {
  const isOf = (algorithm: string): boolean =>
    algorithm === keyType || (keyType === 'ssh-rsa' && algorithm.startsWith('rsa-'))
  return stages.map((stage, index) =>
    index < stages.length - 1 ? stage : { ...stage, hostKeys: stage.hostKeys.filter((algorithm) => !isOf(algorithm)) },
  )
}
