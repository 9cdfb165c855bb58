/**
 * One authenticated SSH connection, through all its hops. It notices a dead peer in 45 s, keeps no process alive unless it is
 * held, and closes its hops with itself. How it comes about is dial.ts.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isMusterError, MusterError, type Clock, type Logger } from '@muster/core'
import type { Client, ClientChannel } from 'ssh2'
import { lost } from '../lost.js'
import { said } from './errors.js'

/** How often the far side is asked for a sign of life, milliseconds. */
const ASK_MS = 14_000
/** With so many questions in a row unanswered the peer is dead: after 28 to 42 s of silence. */
const SILENT_ASKS = 2
/** What does not hang up by itself is hung up on. */
const GOODBYE_MS = 500

/** What a connection runs over. */
export interface Wires {
  /** To the first host. */
  readonly socket: Socket
  /** To the last one: the socket itself, or a stream through the hops. */
  readonly wire: Duplex
}

/** See the file's head. */
export class Connection {
  readonly #clients: readonly Client[]
  readonly #client: Client
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #lost: Promise<MusterError>
  #held = 0
  #end: MusterError | undefined

  constructor(clients: readonly Client[], { socket, wire }: Wires, clock: Clock, logger: Logger) {
    const client = clients.at(-1)
    if (!client) throw new TypeError('a connection needs a client')
    this.#clients = clients
    this.#client = client
    this.#socket = socket
    this.#clock = clock
    let lose: (why: MusterError) => void = () => undefined
    this.#lost = new Promise((resolve) => (lose = resolve))
    const end = (why: string): void => {
      if (this.#end) return
      this.#end = new MusterError('TRANSPORT_LOST', `lost the connection: ${why}`)
      stopWatching()
      for (const one of [...clients].reverse()) one.destroy()
      socket.destroy()
      lose(this.#end)
    }
    for (const one of clients) {
      one.on('error', (error: Error) => {
        logger.debug({ err: error }, 'an SSH connection broke')
        end(said(error))
      })
      one.on('close', () => end('it was closed'))
    }
    const stopWatching = this.#watch(wire, end)
    socket.unref()
  }

  /** Why it ended, undefined while it lives. */
  get ended(): MusterError | undefined {
    return this.#end
  }

  /** Resolves when it has ended, with the reason. */
  get lost(): Promise<MusterError> {
    return this.#lost
  }

  /** Opens a session with a command. Throws TRANSPORT_LOST, or SSH_SESSION_REFUSED where the host allows no more of them. */
  exec(command: string): Promise<ClientChannel> {
    return this.#open((done) => this.#client.exec(command, done))
  }

  /** Connects to a unix socket there. Throws TRANSPORT_LOST, as of any far end that does not answer. */
  async socket(path: string): Promise<ClientChannel> {
    try {
      return await this.#open((done) => this.#client.openssh_forwardOutStreamLocal(path, done))
    } catch (error) {
      throw isMusterError(error, 'SSH_SESSION_REFUSED') ? lost(`cannot connect to ${path} there`, error) : error
    }
  }

  /** Whether the connection keeps the process alive; counted, each true needs its false. */
  hold(active: boolean): void {
    this.#held += active ? 1 : -1
    if (this.#held > 0) this.#socket.ref()
    else this.#socket.unref()
  }

  /** Hangs up; resolves when that is done. */
  async close(): Promise<void> {
    if (this.#end) return
    this.hold(true)
    for (const client of [...this.#clients].reverse()) client.end()
    this.#socket.end()
    const forget = this.#clock.after(GOODBYE_MS, () => this.#socket.destroy())
    await this.#lost
    forget()
  }

  async #open(ask: (done: (error: Error | undefined, channel: ClientChannel) => void) => void): Promise<ClientChannel> {
    if (this.#end) throw this.#end
    this.hold(true)
    try {
      return await new Promise<ClientChannel>((resolve, reject) => {
        ask((error, channel) => {
          if (error) reject(this.#end ?? refusal(error))
          else resolve(watched(channel))
        })
      })
    } catch (error) {
      // ssh2 throws where it already knows that it is not connected.
      if (error instanceof MusterError) throw error
      throw new MusterError('TRANSPORT_LOST', `lost the connection: ${said(error)}`, { cause: error })
    } finally {
      this.hold(false)
    }
  }

  /**
   * Asks the far side for an answer, again and again, and gives it up when it has been silent for SILENT_ASKS questions. They are
   * counted, since a process that was stopped for a minute finds a minute of silence behind itself. Any byte is an answer: behind
   * a slow line the one that was asked for comes late. The question is a global request that every server must answer; ssh2's
   * own keepalive would keep the process alive.
   */
  #watch(wire: Duplex, end: (why: string) => void): () => void {
    let silent = 0
    let isHeard = true
    wire.on('data', () => (isHeard = true))
    const look = (): void => {
      silent = isHeard ? 0 : silent + 1
      isHeard = false
      if (silent >= SILENT_ASKS) return end('the machine does not answer any more')
      try {
        this.#client.unforwardIn('127.0.0.1', 1, () => undefined)
      } catch {
        return end('it was closed')
      }
      forget = this.#clock.after(ASK_MS, look)
    }
    let forget = this.#clock.after(ASK_MS, look)
    return () => forget()
  }
}

function refusal(error: Error): MusterError {
  if (!/open failure|Unable to exec/i.test(error.message))
    return new MusterError('TRANSPORT_LOST', `lost the connection: ${said(error)}`, { cause: error })
  return new MusterError('SSH_SESSION_REFUSED', `the machine refused a session: ${said(error)}`, { cause: error })
}

const exits = new WeakMap<ClientChannel, { readonly code: number | null }>()

/** How the session's command ended; undefined while nobody said. Null for a code: by a signal. */
export function exitOf(channel: ClientChannel): { readonly code: number | null } | undefined {
  return exits.get(channel)
}

/** A short command may have ended in the packet that confirms its session, before whoever awaits that can listen. */
function watched(channel: ClientChannel): ClientChannel {
  channel.once('exit', (code: number | null) => exits.set(channel, { code }))
  return channel
}
