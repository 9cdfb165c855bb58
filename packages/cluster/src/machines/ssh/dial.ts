/**
 * Coming to a connection: a socket to the first host, a forwarded stream to each further one, and on each of them handshake,
 * host key and authentication (login.ts) within one deadline.
 *
 * Invariant: each hop's host key is checked before anything but the handshake is sent to it.
 */
import { once } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { abortReason, MusterError, type Clock, type Logger } from '@muster/core'
import type { Client } from 'ssh2'
import { Connection } from './connection.js'
import { connectFailed, forwardError, socketError, type Endpoint } from './errors.js'
import { library } from './library.js'
import { login, type Stage } from './login.js'
import { inTime } from './in-time.js'

/** How a connection comes about. */
export interface DialOptions {
  /** For each hop. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Gives up at once, with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Opens a connection through `stages`. Throws SSH_CONNECT_FAILED, SSH_AUTH_FAILED, HOST_KEY_*, or the signal's reason. */
export async function connectThrough(stages: readonly Stage[], options: DialOptions): Promise<Connection> {
  // Before the socket: between its first byte and ssh2's ear there must be no pause, or a reset would be an error of nobody's.
  const ssh2 = await library()
  const { clock, logger } = options
  const clients: Client[] = []
  let socket: Socket | undefined
  let wire: Duplex | undefined
  try {
    for (const stage of stages) {
      const limit = deadline(options)
      try {
        const before = clients.at(-1)
        wire = before ? await forwarded(before, stage, limit) : (socket = await dialled(stage, limit))
        clients.push(await login(new ssh2.Client(), wire, stage, limit.signal))
      } finally {
        limit.forget()
      }
    }
    if (!socket || !wire) throw new MusterError('SSH_CONFIG_INVALID', 'there is no host to connect to')
    return new Connection(clients, { socket, wire }, clock, logger)
  } catch (error) {
    for (const client of clients.reverse()) client.destroy()
    socket?.destroy()
    throw options.signal?.aborted ? abortReason(options.signal) : error
  }
}

interface Deadline {
  readonly signal: AbortSignal
  forget(): void
}

function deadline({ clock, timeoutMs, signal }: DialOptions): Deadline {
  const over = new AbortController()
  const stop = (): void => over.abort(signal && abortReason(signal))
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  const disarm = clock.after(timeoutMs, () => over.abort(new Error(`${timeoutMs / 1000} s`)))
  return {
    signal: over.signal,
    forget: () => {
      disarm()
      signal?.removeEventListener('abort', stop)
    },
  }
}

async function dialled(at: Endpoint, { signal }: Deadline): Promise<Socket> {
  const late = (): MusterError => connectFailed(at, 'timeout', `no answer within ${abortReason(signal).message}`)
  if (signal.aborted) throw late()
  // Node gives each address of a name but the last 250 ms, which a far host does not keep.
  const socket = connectSocket({ host: at.host, port: at.port, noDelay: true, autoSelectFamilyAttemptTimeout: 2_500 })
  try {
    await once(socket, 'connect', { signal })
    // From here on everybody hears of an end by 'close'; an 'error' that nobody hears would end the process.
    return socket.on('error', () => undefined)
  } catch (error) {
    socket.destroy()
    throw signal.aborted ? late() : socketError(at, error)
  }
}

/** A stream to the next host, made by the one before it. */
async function forwarded(client: Client, at: Endpoint, { signal }: Deadline): Promise<Duplex> {
  const opened = new Promise<Duplex>((resolve, reject) => {
    client.once('close', () => reject(connectFailed(at, 'closed', 'the hop before it hung up')))
    client.forwardOut('127.0.0.1', 0, at.host, at.port, (error, channel) => {
      if (error) reject(forwardError(at, error))
      else resolve(channel)
    })
  })
  return inTime(opened, signal, () => connectFailed(at, 'timeout', 'the hop before it got no answer'))
}
