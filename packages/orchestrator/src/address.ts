/**
 * Where a backend's server is and how we prove ourselves there: from a URL, or from an object that can say more. Files are read here
 * (a password, certificates), so that a backend is handed values only.
 *
 * Invariant: neither `shown`, nor the address printed or written as JSON, nor any error from here holds a password or a key.
 */
import { parseWith } from '@muster/core'
import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { z } from 'zod'
import { parseUrl, wrong, type HostPort, type UrlParts } from './address-url.js'

const text = z.string().min(1)

/** The object form of `backend:`. */
export const backendConfig = z.strictObject({
  /** `local`, or the URL of a server: `redis: rediss: amqp: amqps:`. */
  url: text,
  user: text.optional(),
  /** For programs; a file says `passwordFile` or `passwordEnv`. */
  password: text.optional(),
  /** A file that holds the password; one line end at its end is not part of it. */
  passwordFile: text.optional(),
  /** The environment variable that holds the password. */
  passwordEnv: z
    .string()
    .regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable')
    .optional(),
  /** For `rediss:` and `amqps:`. */
  tls: z
    .strictObject({
      /** A file with the certificates (PEM) of who may sign the server's; those that Node trusts unless given. */
      ca: text.optional(),
      /** A file with our certificate (PEM), where the server asks for one. */
      cert: text.optional(),
      /** A file with its private key (PEM). */
      key: text.optional(),
      /** The name that the server's certificate must bear; the host unless given. */
      servername: text.optional(),
      /** Whether the server must prove who it is; true unless given. Without it anybody between us and the server can read all. */
      verify: z.boolean().optional(),
    })
    .optional(),
})
/** The object form of `backend:`. */
export type BackendConfig = z.input<typeof backendConfig>

/** How a TLS connection is made. */
export interface TlsSettings {
  /** PEM text; undefined: the certificates that Node trusts. */
  readonly ca: string | undefined
  /** PEM text. */
  readonly cert: string | undefined
  /** PEM text. */
  readonly key: string | undefined
  /** The name that the server's certificate must bear; undefined: the host's. */
  readonly servername: string | undefined
  readonly verify: boolean
}

/** A server, as a backend is opened with it. */
export interface ServerAddress {
  /** `redis`, `rediss`, `amqp` or `amqps`. */
  readonly scheme: string
  /** At least one; several are the seeds of a Redis Cluster. */
  readonly hosts: readonly HostPort[]
  readonly user: string | undefined
  readonly password: string | undefined
  /** Decoded: the number of a Redis database, the vhost of RabbitMQ; empty where absent. */
  readonly path: string
  /** Undefined: no TLS. */
  readonly tls: TlsSettings | undefined
  /** The query of the URL; a backend refuses what it does not know (CONFIG_INVALID). */
  readonly options: Readonly<Record<string, string>>
  /** The address for logs and errors, made of its parts: it never holds a password, nor options. */
  readonly shown: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The address that a URL, or the object form, means. Reads the files that it names; relative ones are relative to the working
 * directory. `name` is what errors call it. Throws CONFIG_INVALID.
 */
export async function parseAddress(
  where: string | BackendConfig,
  env: Environment = process.env,
  name = 'backend',
): Promise<ServerAddress> {
  const config = typeof where === 'string' ? { url: where } : parseWith(backendConfig, where, name, 'CONFIG_INVALID')
  const url = parseUrl(config.url, name)
  const user = oneOf(name, 'a user', [url.user, config.user])
  const password = await readPassword(config, url, env, name)
  const tls = await readTls(config, url, name)
  return address({ ...url, user, password, tls, shown: show({ ...url, user }) })
}

/** `SCHEME://USER@HOST:PORT,…/PATH`, from the parts: nothing of the text that was given is in it. */
function show({ scheme, user, hosts, path }: UrlParts): string {
  const servers = hosts.map(
    ({ host, port }) => `${host.includes(':') ? `[${host.replace('%', '%25')}]` : host}:${port}`,
  )
  const who = user === undefined ? '' : `${encodeURIComponent(user.toWellFormed())}@`
  return `${scheme}://${who}${servers.join(',')}${path === '' ? '' : `/${encodeURIComponent(path)}`}`
}

/** Printed, logged or written as JSON by accident, an address is what may be shown of it. */
function address(parts: ServerAddress): ServerAddress {
  const hidden = { value: () => parts.shown, enumerable: false }
  return Object.defineProperties({ ...parts }, { toJSON: hidden, [inspect.custom]: hidden })
}

async function readPassword(
  { password, passwordFile, passwordEnv }: BackendConfig,
  url: UrlParts,
  env: Environment,
  name: string,
): Promise<string | undefined> {
  const given = [url.password, password, passwordFile, passwordEnv]
  if (given.filter((value) => value !== undefined).length > 1)
    throw wrong(name, 'the password is given more than once', 'Keep one of: passwordFile, passwordEnv, the URL.')
  if (passwordFile !== undefined) {
    const content = (await read(passwordFile, 'passwordFile', name)).replace(/\r?\n$/, '')
    if (content === '') throw wrong(name, `passwordFile: ${passwordFile} is empty`)
    return content
  }
  if (passwordEnv === undefined) return oneOf(name, 'a password', [url.password, password])
  const value = env[passwordEnv]
  if (value === undefined || value === '') throw wrong(name, `passwordEnv: the variable ${passwordEnv} is not set`)
  return value
}

async function readTls({ tls }: BackendConfig, { scheme }: UrlParts, name: string): Promise<TlsSettings | undefined> {
  const secure = scheme === 'rediss' || scheme === 'amqps'
  if (!secure && tls) throw wrong(name, `${scheme}: is without TLS, but tls is given`, `Write ${scheme}s:// instead.`)
  if (!secure) return undefined
  const { ca, cert, key, servername, verify = true } = tls ?? {}
  if ((cert === undefined) !== (key === undefined)) throw wrong(name, 'tls.cert and tls.key are given together')
  const pem = async (path: string | undefined, what: string): Promise<string | undefined> =>
    path === undefined ? undefined : readPem(path, `tls.${what}`, name)
  return { ca: await pem(ca, 'ca'), cert: await pem(cert, 'cert'), key: await pem(key, 'key'), servername, verify }
}

async function readPem(path: string, key: string, name: string): Promise<string> {
  const content = await read(path, key, name)
  if (!content.includes('-----BEGIN ')) throw wrong(name, `${key}: ${path} holds no PEM text`)
  return content
}

async function read(path: string, key: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    throw wrong(name, `${key}: ${path} cannot be read (${why})`)
  }
}

function oneOf(name: string, what: string, given: readonly (string | undefined)[]): string | undefined {
  const found = given.filter((value) => value !== undefined)
  if (found.length > 1) throw wrong(name, `${what} is given in the URL and beside it`)
  return found[0]
}
