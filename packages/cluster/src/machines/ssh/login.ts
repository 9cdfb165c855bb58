/**
 * One host on the way: handshake, its host key, authentication. Invariant: until the key was found right, the host gets nothing
 * but the handshake: no user name, no key, no byte of a job.
 */
import type { Duplex } from 'node:stream'
import type { Client, MacAlgorithm, ServerHostKeyAlgorithm } from 'ssh2'
import type { Authentication } from './auth.js'
import { connectFailed, handshakeError, said, sshError, type Endpoint } from './errors.js'
import { inTime } from './in-time.js'

/** One host on the way, with what is needed to get past it. */
export interface Stage extends Endpoint {
  /** Host key algorithms in order of preference. */
  readonly hostKeys: readonly ServerHostKeyAlgorithm[]
  /** Throws unless the key is the host's. */
  check(key: Buffer): Promise<void>
  /** Made anew for each connection: it counts its tries. */
  authentication(): Authentication
}

/** Those of ssh2's without SHA-1; the other algorithms that it offers by itself have none. */
const MACS: MacAlgorithm[] = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
]

/** What ssh2 says of an error beside its message. */
interface Ssh2Error extends Error {
  readonly level?: string
  /** The reason of a disconnect message. */
  readonly code?: string | number
}

/** Logs in over `wire`. Throws SSH_CONNECT_FAILED, SSH_AUTH_FAILED, HOST_KEY_*. */
export async function login(client: Client, wire: Duplex, stage: Stage, signal: AbortSignal): Promise<Client> {
  const authentication = stage.authentication()
  const check = checkedOnce(stage)
  const progress = { trusted: false, refused: undefined as unknown }
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => reject(progress.refused instanceof Error ? progress.refused : error)
    client.once('ready', resolve)
    // The listeners stay: an 'error' that nobody hears would end the process.
    client.on('error', (error: Ssh2Error) => {
      if (isOfOneTry(error)) authentication.note(`${error.level === 'agent' ? 'the agent: ' : ''}${said(error)}`)
      else fail(explained(error, stage, authentication))
    })
    client.on('change password', () => fail(expired(stage)))
    client.once('close', () =>
      fail(connectFailed(stage, 'closed', progress.trusted ? `it hung up (${authentication.offered})` : 'it hung up')),
    )
  })
  client.connect({
    sock: wire,
    username: stage.user,
    readyTimeout: 0,
    algorithms: { serverHostKey: [...stage.hostKeys], compress: ['none'], hmac: MACS },
    authHandler: (left, partial) => authentication.next(left, partial),
    hostVerifier: (key: Buffer, verdict: (ok: boolean) => void) => {
      check(key).then(
        () => {
          progress.trusted = true
          verdict(true)
        },
        (error: unknown) => {
          progress.refused = error
          verdict(false)
        },
      )
    },
  })
  try {
    await inTime(ready, signal, () => {
      const where = progress.trusted ? `during authentication (${authentication.offered})` : 'during the handshake'
      return connectFailed(stage, 'timeout', `it stopped answering ${where}`)
    })
    return client
  } catch (error) {
    client.destroy()
    wire.destroy()
    throw error
  }
}

/** A long connection changes its keys, and shows its host key each time: the one that was found right stays the only one. */
function checkedOnce(stage: Stage): (key: Buffer) => Promise<void> {
  let right: Buffer | undefined
  return async (key) => {
    if (right?.equals(key)) return
    await stage.check(key)
    right = Buffer.from(key)
  }
}

/** A dead agent, or a key that does not sign, is no end: ssh2 goes on to the next try. */
function isOfOneTry({ level, message }: Ssh2Error): boolean {
  return level === 'agent' || (level === 'client-authentication' && /sign/i.test(message))
}

function explained(error: Ssh2Error, stage: Stage, authentication: Authentication): Error {
  if (error.level === 'client-authentication') return authentication.failure(stage)
  if (/too many auth/i.test(error.message)) return authentication.failure(stage, said(error))
  return handshakeError(stage, error)
}

function expired(stage: Stage): Error {
  const message = `the password of ${stage.user}@${stage.host} has expired`
  return sshError('SSH_AUTH_FAILED', stage, message, `Log in by hand once and set a new one: ssh ${stage.host}`)
}
