/** `user@host:port` and its relatives. Invariant: what comes out is safe as an argument and in a message. */
import { MusterError } from '@muster/core'
import { isIPv6 } from 'node:net'

/** A destination as written: the name is a host or a Host of the user's configuration. */
export interface Destination {
  readonly user?: string
  readonly host: string
  readonly port?: number
}

/** Spaces, control characters, and what ssh refuses because of the shells that it starts. */
const NEVER = /[\s\p{C}'"`$;&<>|(){}]/u
const NEVER_IN_HOST = /[@/,!*?#[\]\\]/
/** A backslash stands between a domain and its user, so it is never the last. */
const NEVER_IN_USER = /\\$/

/**
 * Takes `host`, `user@host`, `host:port`, `[::1]:22`, `user@[::1]:22`, a bare IPv6 address and `ssh://user@host:port`.
 * Throws INVALID_ARGUMENT; its message does not repeat the text, in which people put passwords.
 */
export function parseDestination(text: string): Destination {
  const rest = /^ssh:\/\//i.test(text) ? text.slice(6).replace(/\/$/, '') : text
  const at = rest.lastIndexOf('@')
  const { host, port } = parseHost(rest.slice(at + 1))
  return {
    host: checkedHost(host),
    ...(at >= 0 && { user: checkedUser(rest.slice(0, at)) }),
    ...(port !== undefined && { port: parsePort(port) }),
  }
}

/** A port, 1 to 65,535. Throws INVALID_ARGUMENT. */
export function parsePort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : refuse('the port is no number from 1 to 65535')
}

/** The host, if it can be one. Throws INVALID_ARGUMENT. */
export function checkedHost(host: string): string {
  if (host === '') return refuse('the host is empty')
  if (host.startsWith('-')) return refuse("the host begins with '-'")
  return NEVER.test(host) || NEVER_IN_HOST.test(host) ? refuse('the host has a character that no host has') : host
}

/** The user, if it can be one. Throws INVALID_ARGUMENT. */
export function checkedUser(user: string): string {
  if (user === '') return refuse('the user is empty')
  if (user.startsWith('-')) return refuse("the user begins with '-'")
  if (user.includes(':'))
    return refuse("the user has a ':'. A password is given by reference (password: { env: NAME })")
  return NEVER.test(user) || NEVER_IN_USER.test(user) ? refuse('the user has a character that no user has') : user
}

function parseHost(text: string): { host: string; port?: string | undefined } {
  const [, address, bracketPort] = /^\[([^\]]*)\](?::(.*))?$/s.exec(text) ?? []
  if (address !== undefined)
    return isIPv6(address) ? { host: address, port: bracketPort } : refuse('there is no IPv6 address in the brackets')
  if (isIPv6(text)) return { host: text }
  const [host = '', port, more] = text.split(':')
  return more === undefined ? { host, port } : refuse("there is more than one ':'. Write an IPv6 address in brackets")
}

function refuse(why: string): never {
  throw new MusterError('INVALID_ARGUMENT', `the destination cannot be used: ${why}`, {
    hint: 'Write user@host, user@host:port, or a Host of your ssh configuration.',
  })
}
