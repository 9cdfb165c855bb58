/**
 * Which host keys are known, as OpenSSH's known_hosts files say it. Pure but for reading the files.
 * Invariant: nothing but a plain line whose names match makes a key known, and a revoked key is refused whatever else says.
 */
import { MusterError } from '@muster/core'
import { createHash, createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { errorCode } from './files.js'
import { matchesList } from './patterns.js'

/** One usable line of a known_hosts file. */
export interface KnownHost {
  /** `authority`: a certificate authority, which never makes a plain key known. */
  readonly marker: 'key' | 'authority' | 'revoked'
  /** The names as written: patterns separated by commas, or one hashed name. */
  readonly names: string
  readonly keyType: string
  /** In wire format. */
  readonly key: Buffer
  readonly file: string
  /** From 1. */
  readonly line: number
}

/** A known key, for people. */
export interface KnownKey {
  /** `SHA256:…` */
  readonly fingerprint: string
  readonly keyType: string
  readonly file: string
  readonly line: number
}

/** What the files say about a key that a host showed. */
export interface HostKeyVerdict {
  /** `changed`: another key is known, be it of another type; OpenSSH judges so too, or a forger would just show another type. */
  readonly verdict: 'known' | 'unknown' | 'changed' | 'revoked'
  /** The plain keys known for the host, of every type; where the key itself is revoked, the lines that say so. */
  readonly known: readonly KnownKey[]
  /** How many certificate authorities are known for the host; muster cannot use them. */
  readonly authorities: number
}

const MARKERS = new Map<string | undefined, KnownHost['marker']>([
  [undefined, 'key'],
  ['@cert-authority', 'authority'],
  ['@revoked', 'revoked'],
])

/** The algorithms that prove a key of a type. SHA-1 signatures (`ssh-rsa`) are not among them, nor what ssh2 cannot verify. */
const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
}

const DEFAULT_PORT = 22

/** The lines of a known_hosts file; what cannot be read as a line is left out, as OpenSSH does. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split('\n').flatMap((content, index) => parseLine(content, file, index + 1) ?? [])
}

/** Reads several files, in their order. A missing one is empty. Throws SSH_CONFIG_INVALID for one that cannot be read. */
export async function readKnownHosts(files: readonly string[]): Promise<KnownHost[]> {
  const lists = files.map(async (file) => parseKnownHosts(await textOf(file), file))
  return (await Promise.all(lists)).flat()
}

/**
 * Judges the key in wire format that `host` showed at `port`. With a HostKeyAlias, that is the host and 22 the port.
 * As with OpenSSH, what stands under the host's name without a port counts where nothing stands under the name with it.
 */
export function judgeHostKey(entries: readonly KnownHost[], host: string, port: number, key: Buffer): HostKeyVerdict {
  const [exact, plain] = linesFor(entries, host, port)
  const authorities = [...exact, ...plain].filter(({ marker }) => marker === 'authority').length
  // Stricter than OpenSSH, which takes a key at [host]:port that is revoked for the host alone.
  const revoked = [...exact, ...plain].filter((entry) => entry.marker === 'revoked' && entry.key.equals(key))
  if (revoked.length > 0) return { verdict: 'revoked', known: revoked.map(forPeople), authorities }

  const keys = exact.filter(isKey)
  if (keys.length > 0) {
    const verdict = keys.some((entry) => entry.key.equals(key)) ? 'known' : 'changed'
    return { verdict, known: keys.map(forPeople), authorities }
  }
  // Another port may be another machine (a forwarded one): a key that differs there has not changed.
  const elsewhere = plain.filter(isKey)
  if (!elsewhere.some((entry) => entry.key.equals(key))) return { verdict: 'unknown', known: [], authorities }
  return { verdict: 'known', known: elsewhere.map(forPeople), authorities }
}

/** Host key algorithms by which the host is known, for the key exchange to prefer; empty where it is not known. */
export function knownKeyTypes(entries: readonly KnownHost[], host: string, port: number): string[] {
  const [exact, plain] = linesFor(entries, host, port).map((list) => list.filter(isKey))
  const types = new Set((exact?.length ? exact : (plain ?? [])).map(({ keyType }) => keyType))
  return Object.entries(ALGORITHMS).flatMap(([type, algorithms]) => (types.has(type) ? algorithms : []))
}

/** The line, with its newline, that makes the key known. */
export function knownHostsLine(host: string, port: number, key: Buffer): string {
  return `${nameOf(host, port)} ${keyTypeOf(key)} ${key.toString('base64')}\n`
}

/** `SHA256:…` of a key in wire format. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** The type that stands in a key in wire format; empty where it is none. */
export function keyTypeOf(key: Buffer): string {
  const length = key.length < 4 ? 0 : key.readUInt32BE(0)
  const type = key.toString('latin1', 4, 4 + length)
  return type.length === length && /^[\x21-\x7e]*$/.test(type) ? type : ''
}

function parseLine(content: string, file: string, line: number): KnownHost | undefined {
  const [, mark, names = '', keyType = '', base64 = ''] =
    /^[ \t]*(?:(@\S+)[ \t]+)?([^\s#@]\S*)[ \t]+(\S+)[ \t]+([A-Za-z0-9+/]+=*)(?=\s|$)/.exec(content) ?? []
  const marker = MARKERS.get(mark)
  const key = Buffer.from(base64, 'base64')
  if (marker === undefined || keyType === '' || keyTypeOf(key) !== keyType || !isWhole(key)) return undefined
  return { marker, names, keyType, key, file, line }
}

/** Whether the key is what its lengths say: a line that was cut off must not say that the key has changed. */
function isWhole(key: Buffer): boolean {
  let at = 0
  while (at + 4 <= key.length) at += 4 + key.readUInt32BE(at)
  return at === key.length
}

/** The lines under the host's name with its port, and those under its name alone, where that is another name. */
function linesFor(entries: readonly KnownHost[], host: string, port: number): [KnownHost[], KnownHost[]] {
  const under = (name: string): KnownHost[] => entries.filter(({ names }) => namesHold(names, name))
  return [under(nameOf(host, port)), port === DEFAULT_PORT ? [] : under(nameOf(host, DEFAULT_PORT))]
}

function nameOf(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === DEFAULT_PORT ? name : `[${name}]:${port}`
}

function namesHold(names: string, name: string): boolean {
  if (!names.startsWith('|')) return matchesList(name, names.toLowerCase().split(','))
  const [, version, salt, hash, rest] = names.split('|')
  if (version !== '1' || salt === undefined || hash === undefined || rest !== undefined) return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

function isKey({ marker }: KnownHost): boolean {
  return marker === 'key'
}

function forPeople({ key, keyType, file, line }: KnownHost): KnownKey {
  return { fingerprint: fingerprintOf(key), keyType, file, line }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return ''
    throw new MusterError('SSH_CONFIG_INVALID', `the known hosts in ${file} cannot be read (${code})`, {
      hint: `Make the file readable for you (chmod u+r ${file}), or name others in knownHostsFiles.`,
      details: { file },
      cause: error,
    })
  }
}
