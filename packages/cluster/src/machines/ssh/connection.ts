/**
 * One authenticated SSH connection, through all its hops. It notices a dead peer in 45 s, keeps no process alive unless it is
 * held, and closes its hops with itself. How it comes about is dial.ts.
 */
import type { Socket } from 'node:net'
import { MusterError, type Clock, type Logger } from '@muster/core'
import type { Client, ClientChannel } from 'ssh2'
import { textOf } from './errors.js'

/** Without a byte for this long, milliseconds, the peer is dead. */
const DEAD_MS = 45_000
const ASK_MS = 15_000

/** See the file's head. */
export class Connection {
  readonly #clients: readonly Client[]
  readonly #client: Client
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #lost: Promise<MusterError>
  #held = 0
  #end: MusterError | undefined

  constructor(clients: readonly Client[], socket: Socket, clock: Clock, logger: Logger) {
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
      for (const one of [...clients].reverse()) one.destroy()
      socket.destroy()
      lose(this.#end)
    }
    for (const one of clients) {
      one.on('error', (error: Error) => {
        logger.debug({ err: error }, 'an SSH connection broke')
        end(error.message)
      })
      one.on('close', () => end('it was closed'))
    }
    this.#watch(end)
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

  /** Connects to a unix socket there. */
  socket(path: string): Promise<ClientChannel> {
    return this.#open((done) => this.#client.openssh_forwardOutStreamLocal(path, done))
  }

  /** Whether the connection keeps the process alive; counted, each true needs its false. */
  hold(active: boolean): void {
    this.#held += active ? 1 : -1
    if (this.#held > 0) this.#socket.ref()
    else this.#socket.unref()
  }

  close(): void {
    for (const client of [...this.#clients].reverse()) client.end()
    this.#socket.end()
    // What does not hang up by itself is hung up on.
    this.#clock.after(500, () => this.#socket.destroy())
  }

  async #open(ask: (done: (error: Error | undefined, channel: ClientChannel) => void) => void): Promise<ClientChannel> {
    if (this.#end) throw this.#end
    this.hold(true)
    try {
      return await new Promise<ClientChannel>((resolve, reject) => {
        ask((error, channel) => {
          if (error) reject(this.#end ?? refusal(error))
          else resolve(channel)
        })
      })
    } catch (error) {
      // ssh2 throws where it already knows that it is not connected.
      if (error instanceof MusterError) throw error
      throw new MusterError('TRANSPORT_LOST', `lost the connection: ${textOf(error)}`, { cause: error })
    } finally {
      this.hold(false)
    }
  }

  /**
   * Asks the far side for an answer when it has been silent, and gives it up after DEAD_MS. The question is a global request
   * that every server must answer; ssh2's own keepalive would keep the process alive.
   */
  #watch(end: (why: string) => void): void {
    let seen = this.#socket.bytesRead
    let heard = this.#clock.monotonic()
    const look = (): void => {
      if (this.#end) return
      const now = this.#clock.monotonic()
      if (this.#socket.bytesRead !== seen) [seen, heard] = [this.#socket.bytesRead, now]
      if (now - heard >= DEAD_MS) return end(`nothing was heard for ${Math.round((now - heard) / 1000)} s`)
      try {
        this.#client.unforwardIn('127.0.0.1', 1, () => undefined)
      } catch {
        return end('it was closed')
      }
      this.#clock.after(ASK_MS, look)
    }
    this.#clock.after(ASK_MS, look)
  }
}

function refusal(error: Error): MusterError {
  if (!/open failure|Unable to exec/i.test(error.message))
    return new MusterError('TRANSPORT_LOST', `lost the connection: ${error.message}`, { cause: error })
  return new MusterError('SSH_SESSION_REFUSED', `the machine refused a session: ${error.message}`, { cause: error })
}
