/** What can go wrong on the way to an SSH machine, said in one form: which hop, how far it got, what to do. */
import { MusterError, type ErrorCode } from '@muster/core'

/** How far a connection got before it failed. */
export type ConnectFailure = 'unknown-host' | 'refused' | 'unreachable' | 'timeout' | 'not-ssh' | 'handshake' | 'closed'

/** Where a connection goes: what the messages name. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly user: string
}

const HINTS: Readonly<Record<ConnectFailure, string>> = {
  'unknown-host': 'Check the spelling of the host name, or give HostName in ~/.ssh/config.',
  refused: 'Is sshd running there, and is that its port?',
  unreachable: 'There is no route to it from here: check network and VPN.',
  timeout: 'The machine is down, or a firewall drops the packets.',
  'not-ssh': 'Something else than sshd listens on that port.',
  handshake: 'The message holds what the handshake failed on; compare with: ssh -vv',
  closed: 'Its sshd may limit who connects, or how often (MaxStartups, fail2ban); see its log.',
}

/** SSH_CONNECT_FAILED with the reason in `details`. `what` completes "cannot connect to HOST: …". */
export function connectFailed(at: Endpoint, reason: ConnectFailure, what: string, cause?: unknown): MusterError {
  return new MusterError('SSH_CONNECT_FAILED', `cannot connect to ${placeOf(at)}: ${what}`, {
    hint: HINTS[reason],
    details: { reason, host: at.host, port: at.port },
    ...(cause !== undefined && { cause }),
  })
}

/** An error about a host or our own side of the connection, with the endpoint in `details`. */
export function sshError(code: ErrorCode, at: Endpoint, message: string, hint?: string): MusterError {
  return new MusterError(code, message, {
    ...(hint !== undefined && { hint }),
    details: { host: at.host, port: at.port, user: at.user },
  })
}

/** The endpoint for people: the port only where it is not the usual one. */
export function placeOf({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return port === 22 ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`
}

const SYSTEM: Readonly<Record<string, ConnectFailure>> = {
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'unknown-host',
  EAI_AGAIN: 'unknown-host',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'timeout',
}

/** What opening the socket failed with. */
export function socketError(at: Endpoint, error: unknown): MusterError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = SYSTEM[code] ?? 'closed'
  const texts: Partial<Record<ConnectFailure, string>> = {
    refused: 'connection refused',
    'unknown-host': `no such host (${code})`,
    unreachable: `no route (${code})`,
    timeout: 'no answer',
  }
  return connectFailed(at, reason, texts[reason] ?? textOf(error), error)
}

/** What a hop said when it was asked to connect to the next one. */
export function forwardError(at: Endpoint, error: Error & { readonly reason?: unknown }): MusterError {
  const text = said(error).replace(/^\(SSH\) Channel open failure: /, '')
  // 1 is "administratively prohibited" (RFC 4254): the hop did not even try.
  if (error.reason === 1 || /prohibited/i.test(text))
    return new MusterError(
      'SSH_CONNECT_FAILED',
      `cannot connect to ${placeOf(at)}: the hop before it does not forward`,
      {
        hint: 'Its sshd_config has AllowTcpForwarding no, or PermitOpen without this host.',
        details: { reason: 'refused', host: at.host, port: at.port },
        cause: error,
      },
    )
  const reason = /resolve|not known|unknown host/i.test(text)
    ? 'unknown-host'
    : /time/i.test(text)
      ? 'timeout'
      : /route|unreachable/i.test(text)
        ? 'unreachable'
        : 'refused'
  return connectFailed(at, reason, `the hop before it could not reach it (${text})`, error)
}

/** What ssh2 said of a handshake that broke. */
export function handshakeError(at: Endpoint, error: unknown): MusterError {
  const text = said(error)
  if (/identification|greeting|Header line|expected newline|before handshake/i.test(text)) {
    const silent = /before handshake/i.test(text)
    return connectFailed(
      at,
      silent ? 'closed' : 'not-ssh',
      silent ? 'it hung up at once' : `no SSH server answers (${text})`,
      error,
    )
  }
  const closed = /ECONNRESET|EPIPE|Connection lost|socket hang up/i.test(text)
  return connectFailed(at, closed ? 'closed' : 'handshake', text, error)
}

/** A message that may come from the other side, fit for a line: short, and without control characters. */
export function said(error: unknown): string {
  return textOf(error)
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, 300)
}

/** The text of whatever was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
