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

interface Progress {
  /** The host's key was found right. */
  trusted: boolean
  /** Why it was not. */
  refused: unknown
}

/** Logs in over `wire`. Throws SSH_CONNECT_FAILED, SSH_AUTH_FAILED, HOST_KEY_*. */
export async function login(client: Client, wire: Duplex, stage: Stage, signal: AbortSignal): Promise<Client> {
  const authentication = stage.authentication()
  let greeting = ''
  const progress: Progress = { trusted: false, refused: undefined }
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => reject(progress.refused instanceof Error ? progress.refused : error)
    client.once('ready', resolve)
    // The listeners stay: an 'error' that nobody hears would end the process.
    client.on('error', (error: Ssh2Error) => {
      if (isOfOneTry(error)) authentication.note(`${error.level === 'agent' ? 'the agent: ' : ''}${said(error)}`)
      else fail(explained(error, { stage, authentication, greeting }))
    })
    client.on('change password', () => fail(expired(stage)))
    client.once('close', () => fail(connectFailed(stage, 'closed', `it hung up ${where(authentication)}`)))
  })
  client.connect({
    sock: wire,
    username: stage.user,
    readyTimeout: 0,
    algorithms: { serverHostKey: [...stage.hostKeys], compress: ['none'], hmac: MACS },
    authHandler: (left, partial) => authentication.next(left, partial),
    hostVerifier: judge(stage, progress),
  })
  wire.once('data', (chunk: Buffer) => (greeting = chunk.toString('latin1', 0, 80).trim()))
  try {
    await inTime(ready, signal, () => {
      return connectFailed(stage, 'timeout', `it stopped answering ${where(authentication)}`)
    })
    return client
  } catch (error) {
    client.destroy()
    wire.destroy()
    throw error
  }
}

/**
 * A long connection changes its keys, and shows its host key each time: the one that was found right stays the only one. It must
 * then be told at once, by the return value: while it waits for a verdict, ssh2 goes on sending, and the connection breaks.
 */
function judge(
  stage: Stage,
  progress: Progress,
): (key: Buffer, verdict: (isRight: boolean) => void) => boolean | undefined {
  let right: Buffer | undefined
  return (key, verdict) => {
    if (right) return right.equals(key)
    stage.check(key).then(
      () => {
        right = Buffer.from(key)
        progress.trusted = true
        verdict(true)
      },
      (error: unknown) => {
        progress.refused = error
        verdict(false)
      },
    )
    return undefined
  }
}

/** A dead agent, or a key that does not sign, is no end: ssh2 goes on to the next try. */
function isOfOneTry({ level, message }: Ssh2Error): boolean {
  return level === 'agent' || (level === 'client-authentication' && /sign/i.test(message))
}

interface Circumstances {
  readonly stage: Stage
  readonly authentication: Authentication
  /** The first that the host said. */
  readonly greeting: string
}

function explained(error: Ssh2Error, { stage, authentication, greeting }: Circumstances): Error {
  if (error.level === 'client-authentication') return authentication.failure(stage)
  if (/too many auth/i.test(error.message)) return authentication.failure(stage, said(error))
  // Any text may stand before the line of an SSH server, so ssh2 sees nothing wrong in what another says before it hangs up.
  if (greeting !== '' && !greeting.includes('SSH-') && /before handshake/i.test(error.message))
    return connectFailed(stage, 'not-ssh', `no SSH server answers: it said ${said(greeting)}`, error)
  return handshakeError(stage, error)
}

function where({ offered }: Authentication): string {
  return offered === '' ? 'during the handshake' : `while logging in (${offered})`
}

function expired(stage: Stage): Error {
  const message = `the password of ${stage.user}@${stage.host} has expired`
  return sshError('SSH_AUTH_FAILED', stage, message, `Log in by hand once and set a new one: ssh ${stage.host}`)
}
