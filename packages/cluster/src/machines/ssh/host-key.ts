/**
 * Host keys: nothing is sent to a host, neither a user name nor a byte of a job, before its key was found in known_hosts or
 * under a pinned fingerprint. What is refused is said with both fingerprints.
 */
import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MusterError, type Logger } from '@muster/core'
import { placeOf, sshError, type Endpoint } from './errors.js'
import { fingerprintOf, judgeHostKey, keyTypeOf, knownHostsLine, type KnownHost } from './known-hosts.js'

/** In `details.mismatch` of HOST_KEY_CHANGED: it is the pinned fingerprint that differs; `details.keyType` was shown. */
export const PIN_DIFFERS = 'pin'

/** What a host's key is judged by. */
export interface Trust {
  /** The name under which the host is known: its HostKeyAlias, else its host name. */
  readonly name: string
  /** Its port there: 22 with an alias. */
  readonly port: number
  readonly known: readonly KnownHost[]
  /** The one fingerprint that is right, whatever known_hosts says. */
  readonly pinned: string | undefined
  /** Where an unknown key is recorded at the first contact; undefined: it is refused. */
  readonly recordIn: string | undefined
}

/** Throws HOST_KEY_UNKNOWN, HOST_KEY_CHANGED or HOST_KEY_REVOKED unless `key` is the host's. Records it where `trust` says so. */
export async function checkHostKey(trust: Trust, at: Endpoint, key: Buffer, logger: Logger): Promise<void> {
  const shown = fingerprintOf(key)
  const judgement = judgeHostKey(trust.known, trust.name, trust.port, key)
  const place = placeOf({ host: trust.name, port: trust.port })
  if (judgement.verdict === 'revoked')
    throw sshError('HOST_KEY_REVOKED', at, `${place} showed the key ${shown}, which is marked @revoked`)
  if (trust.pinned !== undefined) {
    if (trust.pinned === shown) return
    throw new MusterError(
      'HOST_KEY_CHANGED',
      `${place} showed the ${keyTypeOf(key)} key ${shown}, pinned is ${trust.pinned}`,
      {
        hint: 'Find out why it differs; then correct the fingerprint in ~/.config/muster/config.yaml.',
        details: { ...at, mismatch: PIN_DIFFERS, keyType: keyTypeOf(key) },
      },
    )
  }
  if (judgement.verdict === 'known') return
  const known = judgement.known.map(
    ({ fingerprint, keyType, file, line }) => `${keyType} ${fingerprint} (${file}:${line})`,
  )
  if (judgement.verdict === 'changed')
    throw sshError(
      'HOST_KEY_CHANGED',
      at,
      `${place} showed the ${keyTypeOf(key)} key ${shown}, known is ${known.join(', ')}`,
      `Somebody may be listening in. If the machine was set up anew, and its own ssh-keygen -lf says the same, remove the old key: ssh-keygen -R '${nameIn(trust)}'`,
    )
  if (trust.recordIn !== undefined) return record(trust, trust.recordIn, key, logger)
  const authority = judgement.authorities > 0 ? '; only a certificate authority is known, which muster cannot use' : ''
  throw sshError(
    'HOST_KEY_UNKNOWN',
    at,
    `${place} showed the ${keyTypeOf(key)} key ${shown}, which is not known${authority}`,
    `Compare it with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub there), then log in once with ssh, or: ssh-keyscan -p ${at.port} ${at.host} >> ~/.ssh/known_hosts`,
  )
}

/** The host as known_hosts and ssh-keygen write it. */
function nameIn({ name, port }: Trust): string {
  return port === 22 ? name : `[${name}]:${port}`
}

async function record({ name, port }: Trust, file: string, key: Buffer, logger: Logger): Promise<void> {
  const fingerprint = fingerprintOf(key)
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await using handle = await open(file, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600)
    // A last line without its end would swallow ours.
    const { size } = await handle.stat()
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    const newline = size > 0 && buffer[0] !== 10 ? '\n' : ''
    await handle.appendFile(newline + knownHostsLine(name, port, key))
    await handle.sync()
  } catch (error) {
    throw new MusterError('SSH_CONFIG_INVALID', `the host key of ${name} cannot be recorded in ${file}`, {
      cause: error,
    })
  }
  logger.warn({ host: name, port, fingerprint, file }, 'the host key was trusted at its first use, and recorded')
}
