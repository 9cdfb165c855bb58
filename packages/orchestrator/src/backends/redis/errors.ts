/**
 * What Redis and the network say, sorted by what can be done about it, and as errors of ours. Invariant: no message from here holds a
 * password; whatever is not a clear answer of the server counts as lost: done, or not, nobody can say.
 */
import { isMusterError, MusterError } from '@muster/core'
import type { ServerAddress } from '../../address.js'

/** The connection went away, or was given up, before the answer came. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

/** What to do about a failure. */
export type Remedy =
  /** The answer is lost: ask again on another connection. */
  | 'repeat'
  /** The server refused for a while and did nothing: ask again. */
  | 'wait'
  /** This server is no longer the one that writes: find the one that is. */
  | 'reconnect'
  /** The server does not know the script: bring it along. */
  | 'load'
  /** Asking again does not help. */
  | 'give-up'

const REMEDIES: Readonly<Record<string, Remedy>> = {
  NOSCRIPT: 'load',
  LOADING: 'wait',
  BUSY: 'wait',
  TRYAGAIN: 'wait',
  ASK: 'wait',
  CLUSTERDOWN: 'wait',
  MASTERDOWN: 'reconnect',
  READONLY: 'reconnect',
  UNBLOCKED: 'reconnect',
  UNAVAILABLE: 'reconnect',
}

/** The word with which Redis begins an error; inside scripts older servers hide it behind their own. */
export function replyCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined
  const [, first = 'ERR'] = /^([A-Z]+)\b/.exec(error.message) ?? []
  if (first !== 'ERR') return first
  return /: -([A-Z]{3,}) /.exec(error.message)?.[1] ?? first
}

/** What can be done about a failure of one attempt. */
export function remedyOf(error: unknown): Remedy {
  const code = replyCode(error)
  if (code !== undefined) return REMEDIES[code] ?? 'give-up'
  return isMusterError(error) && !error.retryable ? 'give-up' : 'repeat'
}

/** The server cannot be reached; `unconfirmed` says that it may have done what was asked. */
export function unavailable(
  address: ServerAddress,
  why: string,
  { cause, unconfirmed = false }: { cause?: unknown; unconfirmed?: boolean } = {},
): MusterError {
  return new MusterError('BACKEND_UNAVAILABLE', `Redis at ${address.shown}: ${why}`, {
    cause,
    details: { unconfirmed },
  })
}

/** The failure that an operation ends with, typed. `unconfirmed`: an answer was lost, so it may have happened. */
export function operationFailed(address: ServerAddress, error: unknown, unconfirmed = false): MusterError {
  if (isMusterError(error)) {
    if (!unconfirmed || error.code !== 'BACKEND_UNAVAILABLE') return error
    return unavailable(address, `the connection broke before the answer, and: ${error.message}`, {
      cause: error,
      unconfirmed,
    })
  }
  const code = replyCode(error)
  const said = error instanceof Error ? error.message : String(error)
  if (code === undefined) return unavailable(address, said, { cause: error, unconfirmed })
  const refused = (hint: string): MusterError =>
    new MusterError('CONFIG_INVALID', `Redis at ${address.shown}: ${firstLine(said)}`, { hint, cause: error })
  switch (code) {
    case 'NOAUTH':
    case 'WRONGPASS':
      return refused('Correct the user and the password (passwordFile or passwordEnv).')
    case 'NOPERM':
      return refused('Give the user its rights: ACL SETUSER USER +@all ~muster:*')
    case 'DENIED':
      return refused('Set a password on the server, or connect from its own host.')
    case 'NOPROTO':
    case 'WRONGTYPE':
      return refused('Use another database or namespace: these keys belong to something else.')
    case 'OOM':
      return unavailable(address, 'its memory is full (maxmemory)', { cause: error })
    case 'MISCONF':
      return unavailable(address, `it takes no writes, since it cannot save: ${firstLine(said)}`, { cause: error })
    default:
      return unavailable(address, firstLine(said), { cause: error, unconfirmed })
  }
}

/** Why no connection came about. */
export function dialFailed(address: ServerAddress, error: unknown): MusterError {
  if (isMusterError(error)) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (/CERT|TLS|SSL|EPROTO|SIGNATURE|ALTNAME/.test(code))
    return new MusterError('CONFIG_INVALID', `Redis at ${address.shown}: we did not agree on TLS (${code})`, {
      hint: 'Correct tls.ca, tls.servername, or the port; without TLS write redis://.',
      cause: error,
    })
  if (replyCode(error) !== undefined) return operationFailed(address, error)
  const said = error instanceof Error ? error.message : String(error)
  return unavailable(address, `no connection (${code === '' ? said : code})`, { cause: error })
}

function firstLine(text: string): string {
  return (text.split(/ script: |\n/, 1)[0] ?? '').slice(0, 300)
}
