/**
 * Reads the URL of a queue server into its parts. By hand, since WHATWG's URL knows neither several hosts nor their ports.
 *
 * Invariant: what cannot be read is refused and never repeated, not even in part: nobody can say where in it the password begins.
 */
import { MusterError } from '@muster/core'
import { isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

/** One server of a backend. */
export interface HostPort {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
}

/** The parts of a URL, decoded. */
export interface UrlParts {
  readonly scheme: string
  readonly hosts: readonly HostPort[]
  readonly user: string | undefined
  readonly password: string | undefined
  readonly path: string
  readonly options: Readonly<Record<string, string>>
}

/** The schemes that name a server, with the ports that they mean. */
export const DEFAULT_PORTS = { redis: 6379, rediss: 6379, amqp: 5672, amqps: 5671 } as const
/** A scheme that names a server. */
export type ServerScheme = keyof typeof DEFAULT_PORTS

/** Whether `scheme` is one of {@link DEFAULT_PORTS}. */
export function isServerScheme(scheme: string): scheme is ServerScheme {
  return Object.hasOwn(DEFAULT_PORTS, scheme)
}

/** The scheme that a URL begins with, in small letters, or undefined. A text that is no URL has none. */
export function schemeOf(url: string): string | undefined {
  return /^([a-z][a-z0-9+.-]{0,19}):\/\//i.exec(url)?.[1]?.toLowerCase()
}

/** CONFIG_INVALID; `message` must hold nothing of what was given but the names of keys, schemes and files. */
export function wrong(name: string, message: string, hint?: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${name}: ${message}`, {
    ...(hint !== undefined && { hint }),
    details: { key: name },
  })
}

const ENCODED = 'In a user, a password or a path, write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25.'

/** Parses `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/PATH][?KEY=VALUE…]`. Throws CONFIG_INVALID, naming `name`. */
export function parseUrl(url: string, name: string): UrlParts {
  const scheme = schemeOf(url)
  if (scheme === undefined) throw wrong(name, 'is no URL', 'Write it like redis://HOST:6379 or amqps://USER@HOST.')
  if (!isServerScheme(scheme)) throw wrong(name, `the scheme ${scheme}: names no queue server`)
  const rest = url.slice(scheme.length + '://'.length)
  if (rest.includes('#')) throw wrong(name, 'a URL of a server has no #', ENCODED)
  const [address, query] = splitAt(rest, rest.indexOf('?'))
  const [authority, path] = splitAt(address, address.indexOf('/'))
  const ats = rest.split('@').length - 1
  // An @ further on, or a second one, is part of a password whose own / or ? cut the URL short: no host can be told from it.
  if (ats > 1 || (ats === 1 && !authority.includes('@'))) throw wrong(name, 'has an @ where none can stand', ENCODED)
  const [userinfo, hosts] = ats === 0 ? [undefined, authority] : splitAt(authority, authority.indexOf('@'))
  return {
    scheme,
    hosts: hosts.split(',').map((text) => parseHost(text, DEFAULT_PORTS[scheme], name)),
    ...parseUser(userinfo, name),
    path: parsePath(path, name),
    options: parseQuery(query, name),
  }
}

/** Before and after the character at `index`; all and nothing where it is -1. */
function splitAt(text: string, index: number): [string, string] {
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}

function parseUser(userinfo: string | undefined, name: string): Pick<UrlParts, 'user' | 'password'> {
  if (userinfo === undefined) return { user: undefined, password: undefined }
  const colon = userinfo.indexOf(':')
  const [user, password] = splitAt(userinfo, colon)
  if (colon >= 0 && password === '') throw wrong(name, 'the password in the URL is empty')
  return {
    user: user === '' ? undefined : decode(user, 'the user', name),
    password: colon < 0 ? undefined : decode(password, 'the password', name),
  }
}

function parseHost(text: string, defaultPort: number, name: string): HostPort {
  const [, literal, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(text) ?? []
  const port = digits === undefined ? defaultPort : /^\d{1,5}$/.test(digits) ? Number(digits) : 0
  if (port < 1 || port > 65_535) throw wrong(name, 'the port of a host is no number from 1 to 65535', ENCODED)
  const host = literal === undefined ? hostName(plain ?? '', name) : ipv6(literal, name)
  if (host === undefined) throw wrong(name, 'a host in it is missing, or can be none')
  return { host, port }
}

function ipv6(literal: string, name: string): string | undefined {
  const host = decode(literal, 'a host', name).toLowerCase()
  return isIPv6(host) ? host : undefined
}

function hostName(text: string, name: string): string | undefined {
  const host = decode(text, 'a host', name)
  const ascii = /^[\w.-]+$/.test(host) ? host.toLowerCase() : domainToASCII(host)
  return /^[\w.-]{1,253}$/.test(ascii) ? ascii : undefined
}

function parsePath(text: string, name: string): string {
  if (text.includes('/')) throw wrong(name, 'the path has more than one part', ENCODED)
  return decode(text, 'the path', name)
}

function parseQuery(text: string, name: string): Readonly<Record<string, string>> {
  const options = new Map<string, string>()
  for (const pair of text.split('&').filter((part) => part !== '')) {
    const [key, value] = splitAt(pair, pair.indexOf('=')).map((part) => decode(part, 'an option', name))
    if (key === undefined || value === undefined || !/^[a-z][a-z0-9_-]*$/i.test(key))
      throw wrong(name, 'an option in it has no name', 'Options are written ?NAME=VALUE&NAME=VALUE.')
    if (/pass|secret|token/i.test(key))
      throw wrong(name, 'a password cannot be an option of the URL', 'Use passwordFile or passwordEnv.')
    if (options.has(key)) throw wrong(name, 'an option in it is given twice')
    options.set(key, value)
  }
  return Object.fromEntries(options)
}

/** Percent-decoded; `what` names the part in the error, which repeats nothing of it. */
function decode(text: string, what: string, name: string): string {
  let plain
  try {
    plain = decodeURIComponent(text)
  } catch {
    throw wrong(name, `${what} has a % that begins no encoded character`, ENCODED)
  }
  // Control characters can only be a mistake, and could write lines of their own into a log.
  if (/\p{Cc}/u.test(plain) || !plain.isWellFormed()) throw wrong(name, `${what} holds a control character`)
  return plain
}
