/**
 * The private keys that we may offer, and secrets by reference.
 * Invariant: no message holds a key, a passphrase or a password.
 */
import { MusterError } from '@muster/core'
import { createHash } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { ParsedKey } from 'ssh2'
import { errorCode } from './files.js'
import { keyTypeOf } from './known-hosts.js'
import { library } from './library.js'
import type { SecretSource } from './options.js'
import { publicHalf } from './public-half.js'

/** A key that can sign. */
export interface Identity {
  readonly file: string
  /** Opened: it signs without its passphrase. */
  readonly key: ParsedKey
  /** In wire format. */
  readonly publicKey: Buffer
  readonly keyType: string
}

/** What the files gave. */
export interface Identities {
  readonly identities: readonly Identity[]
  /** Public keys, in wire format, whose private half cannot be used here; the agent may hold it. */
  readonly forAgent: readonly { readonly file: string; readonly publicKey: Buffer; readonly keyType: string }[]
  /** Why a file was left out: sentences for people. */
  readonly warnings: readonly string[]
}

/** The files that are tried where nobody names one, below `~/.ssh`. */
export const DEFAULT_IDENTITIES = ['id_rsa', 'id_ecdsa', 'id_ecdsa_sk', 'id_ed25519', 'id_ed25519_sk'] as const

/** A key file is some KiB. What is larger is none, and must not be read into memory. */
const MAX_BYTES = 1 << 20

/**
 * Reads the private keys. `explicit`: the caller named the files, so one that cannot be used is SSH_CONFIG_INVALID with the line
 * that mends it; otherwise it is left out with a warning, and without one where a default file is missing.
 */
export async function readIdentities(
  files: readonly string[],
  passphrase: SecretSource | undefined,
  explicit: boolean,
): Promise<Identities> {
  const identities: Identity[] = []
  const forAgent: Identities['forAgent'][number][] = []
  const warnings: string[] = []
  for (const file of files) {
    try {
      identities.push(await readIdentity(file, passphrase))
    } catch (error) {
      const reason = error instanceof MusterError ? error.details['reason'] : undefined
      // A passphrase that cannot be read has no reason here: somebody named it, so it is never left out.
      if (explicit || !(error instanceof MusterError) || reason === undefined) throw error
      const publicKey = await publicHalf(file)
      if (publicKey !== undefined) forAgent.push({ file, publicKey, keyType: keyTypeOf(publicKey) })
      if (reason !== 'public' && (reason !== 'missing' || !isDefault(file)))
        warnings.push(`${error.message}. ${error.hint}`)
    }
  }
  return { identities, forAgent, warnings }
}

/** The secret's value, without the newline at its end. Throws SSH_CONFIG_INVALID naming the variable or file. */
export async function readSecret(source: SecretSource): Promise<string> {
  const where = 'env' in source ? `the variable ${source.env}` : `the file ${source.file}`
  const value = 'env' in source ? process.env[source.env] : await readFile(source.file, 'utf8').catch(() => undefined)
  const fault =
    value === undefined ? 'is not set, or cannot be read' : value.length > MAX_BYTES ? 'is too long' : undefined
  if (value !== undefined && fault === undefined) return 'env' in source ? value : value.replace(/\r?\n$/, '')
  throw new MusterError('SSH_CONFIG_INVALID', `${where}, from which a secret of the connection comes, ${fault ?? ''}`, {
    hint: 'Set it where the controller runs, or correct the reference.',
  })
}

/** Keys that were opened, by the hash of file and passphrase: deriving the secret takes half a second of ours each time. */
const unlocked = new Map<string, ParsedKey>()

async function readIdentity(file: string, source: SecretSource | undefined): Promise<Identity> {
  const privateKey = await readPrivate(file)
  const publicKey = await publicHalf(file, privateKey)
  const type = publicKey === undefined ? '' : keyTypeOf(publicKey)
  if (type.startsWith('sk-')) throw unusable(file, 'is held by a security key, which muster cannot ask', 'unsupported')
  const { utils } = await library()
  const plain = utils.parseKey(privateKey)
  if (!(plain instanceof Error)) return identity(file, plain)
  if (!/encrypted/i.test(plain.message)) throw unusable(file, `is no private key that muster can read`, 'unsupported')
  if (source === undefined) throw unusable(file, 'is encrypted, and no passphrase is configured', 'encrypted')
  const passphrase = await readSecret(source)
  const name = createHash('sha256').update(privateKey).update(passphrase).digest('hex')
  const opened = unlocked.get(name) ?? utils.parseKey(privateKey, passphrase)
  if (!(opened instanceof Error)) {
    unlocked.set(name, opened)
    return identity(file, opened)
  }
  // Not every cipher that ssh-keygen offers is one of ssh2's; the passphrase is then not what is wrong.
  if (!/bad passphrase|authenticate data/i.test(opened.message))
    throw unusable(file, 'is encrypted in a way that muster cannot read', 'unsupported', opened)
  throw unusable(file, 'cannot be opened with the configured passphrase', 'wrong-passphrase', opened)
}

function identity(file: string, key: ParsedKey): Identity {
  if (!key.isPrivateKey()) throw unusable(file, 'holds a public key only', 'public')
  const publicKey = key.getPublicSSH()
  return { file, key, publicKey, keyType: keyTypeOf(publicKey) }
}

async function readPrivate(file: string): Promise<Buffer> {
  try {
    await using handle = await open(file, 'r')
    const { mode, uid, size } = await handle.stat()
    // As ssh: of a file that is ours we can tell that nobody else should read it; of another's, its owner decides.
    if (uid === process.getuid?.() && (mode & 0o077) !== 0 && !file.endsWith('.pub'))
      throw unusable(file, 'can be read by others, so it is no secret', 'too-open')
    if (size > MAX_BYTES) throw unusable(file, 'is no private key that muster can read', 'unsupported')
    return await handle.readFile()
  } catch (error) {
    if (error instanceof MusterError) throw error
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') throw unusable(file, 'is missing', 'missing', error)
    throw unusable(file, `cannot be read (${code})`, 'unreadable', error)
  }
}

type Reason = keyof typeof HINTS
const HINTS = {
  missing: () => 'Correct the path, or make a key with: ssh-keygen -t ed25519',
  unreadable: (file: string) => `Make it yours: chown "$USER" ${file}; chmod 600 ${file}`,
  'too-open': (file: string) => `Run: chmod 600 ${file}`,
  encrypted: (file: string) =>
    `Name its passphrase by reference (passphrase: { env: NAME }), or name no identity file and let the agent sign: ssh-add ${file}`,
  'wrong-passphrase': (file: string) =>
    `Check the variable or file it comes from; try it with: ssh-keygen -y -f ${file}`,
  unsupported: (file: string) =>
    `Use an ed25519, ecdsa or rsa key of OpenSSH; convert one with: ssh-keygen -p -f ${file}`,
  public: (file: string) => `Name the private key, ${file.replace(/\.pub$/, '')}, or load it into the agent.`,
}

function unusable(file: string, why: string, reason: Reason, cause?: unknown): MusterError {
  return new MusterError('SSH_CONFIG_INVALID', `the key in ${file} ${why}`, {
    hint: HINTS[reason](file),
    details: { file, reason },
    cause,
  })
}

function isDefault(file: string): boolean {
  return DEFAULT_IDENTITIES.some((name) => name === basename(file))
}
