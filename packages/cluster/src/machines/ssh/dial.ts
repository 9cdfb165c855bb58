/**
 * Coming to a connection: a socket to the first host, a forwarded stream to each further one, and on each of them handshake,
 * host key and authentication within one deadline.
 *
 * Invariant: each hop's host key is checked before anything but the handshake is sent to it.
 */
import { once } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { abortReason, MusterError, type Clock, type Logger } from '@muster/core'
import type { Client, ServerHostKeyAlgorithm } from 'ssh2'
import type { Authentication } from './auth.js'
import { Connection } from './connection.js'
import { connectFailed, handshakeError, socketError, type Endpoint } from './errors.js'
import { library } from './library.js'

/** One host on the way, with what is needed to get past it. */
export interface Stage extends Endpoint {
  /** Host key algorithms in order of preference. */
  readonly hostKeys: readonly ServerHostKeyAlgorithm[]
  /** Throws unless the key is the host's. */
  check(key: Buffer): Promise<void>
  /** Made anew for each connection: it counts its tries. */
  authentication(): Authentication
}

/** Opens a connection through `stages`, each within `timeoutMs`. Throws SSH_CONNECT_FAILED, SSH_AUTH_FAILED, HOST_KEY_*. */
export async function connectThrough(
  stages: readonly Stage[],
  { timeoutMs, clock, logger }: { readonly timeoutMs: number; readonly clock: Clock; readonly logger: Logger },
): Promise<Connection> {
  const clients: Client[] = []
  let socket: Socket | undefined
  try {
    for (const stage of stages) {
      const limit = deadline(clock, timeoutMs)
      try {
        const before = clients.at(-1)
        const wire = before ? await forwarded(before, stage, limit) : (socket = await dialled(stage, limit))
        clients.push(await authenticated(wire, stage, limit))
      } finally {
        limit.forget()
      }
    }
    if (!socket) throw new MusterError('SSH_CONFIG_INVALID', 'there is no host to connect to')
    return new Connection(clients, socket, clock, logger)
  } catch (error) {
    for (const client of clients.reverse()) client.destroy()
    socket?.destroy()
    throw error
  }
}

interface Deadline {
  readonly signal: AbortSignal
  forget(): void
}

function deadline(clock: Clock, ms: number): Deadline {
  const timer = new AbortController()
  return { signal: timer.signal, forget: clock.after(ms, () => timer.abort(new Error(`${Math.round(ms / 1000)} s`))) }
}

async function dialled(at: Endpoint, { signal }: Deadline): Promise<Socket> {
  const socket = connectSocket({ host: at.host, port: at.port, noDelay: true })
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (error) {
    socket.destroy()
    if (!signal.aborted) throw socketError(at, error)
    throw connectFailed(at, 'timeout', `no answer within ${abortReason(signal).message}`)
  }
}

/** A stream to the next host, made by the one before it. */
async function forwarded(client: Client, at: Endpoint, { signal }: Deadline): Promise<Duplex> {
  const opened = new Promise<Duplex>((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, at.host, at.port, (error, channel) => {
      if (error) reject(connectFailed(at, 'refused', `the hop before it could not reach it (${error.message})`, error))
      else resolve(channel)
    })
  })
  return inTime(opened, signal, () => connectFailed(at, 'timeout', 'the hop before it got no answer'))
}

async function authenticated(wire: Duplex, stage: Stage, { signal }: Deadline): Promise<Client> {
  const { Client } = await library()
  const client = new Client()
  const authentication = stage.authentication()
  let refused: unknown
  let reached: 'connected' | 'trusted' = 'connected'
  // The listeners stay: an 'error' that nobody hears would end the process.
  const ready = new Promise<void>((resolve, reject) => {
    client.once('ready', resolve)
    client.on('error', (error: Error & { level?: string }) => {
      reject(refused instanceof Error ? refused : explained(error, stage, authentication))
    })
    client.once('close', () =>
      reject(refused instanceof Error ? refused : connectFailed(stage, 'closed', 'it hung up')),
    )
  })
  client.connect({
    sock: wire,
    username: stage.user,
    readyTimeout: 0,
    algorithms: { serverHostKey: [...stage.hostKeys] },
    // ssh2 takes what is returned as the next try.
    authHandler: (left) => authentication.next(left),
    hostVerifier: (key: Buffer, verdict: (ok: boolean) => void) => {
      stage.check(key).then(
        () => {
          reached = 'trusted'
          verdict(true)
        },
        (error: unknown) => {
          refused = error
          verdict(false)
        },
      )
    },
  })
  try {
    await inTime(ready, signal, () => {
      const where = reached === 'connected' ? 'in the middle of the handshake' : 'during authentication'
      return connectFailed(stage, 'timeout', `it stopped answering ${where}`)
    })
    return client
  } catch (error) {
    client.destroy()
    wire.destroy()
    throw error
  }
}

function explained(error: Error & { level?: string }, stage: Stage, authentication: Authentication): MusterError {
  if (error.level === 'client-authentication') return authentication.failure(stage)
  return handshakeError(stage, error)
}

/** The outcome, unless the time is over before it. */
async function inTime<T>(work: Promise<T>, signal: AbortSignal, late: () => Error): Promise<T> {
  const over = new AbortController()
  const end = { signal: over.signal }
  try {
    if (signal.aborted) throw late()
    const timeUp = once(signal, 'abort', end).then(() => Promise.reject(late()))
    timeUp.catch(() => undefined)
    return await Promise.race([work, timeUp])
  } finally {
    over.abort()
  }
}
