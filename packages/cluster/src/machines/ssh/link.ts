/**
 * The link to one machine: one connection that comes about when it is needed, is shared by all who need it, and comes again
 * after a loss. Invariant: after a failed try nobody tries again before a pause that grows and is never the same for two
 * controllers; who asks meanwhile gets the failure at once.
 */
import { closeOnce, isMusterError, MusterError, type Clock, type Logger } from '@muster/core'
import type { ClientChannel } from 'ssh2'
import type { Connection } from './connection.js'
import { connectThrough } from './dial.js'
import type { SshOptions } from './options.js'
import { routeTo } from './route.js'

const CONNECT_MS = 15_000
/** Connections beside the shared one, for machines with few sessions on each. */
const ASIDES = 6
const PAUSE_MS = 250
const PAUSE_MAX_MS = 30_000

/** What a link needs. */
export interface LinkTools {
  readonly clock: Clock
  readonly logger: Logger
  /** Between 0 and 1: spreads the tries of many controllers. Default Math.random. */
  readonly random?: () => number
}

/** A session on the machine, with the connection it is on. */
export interface Session {
  readonly channel: ClientChannel
  readonly connection: Connection
}

/** See the file's head. */
export class Link {
  readonly #options: SshOptions
  readonly #tools: LinkTools
  readonly #all = new Set<Connection>()
  #connecting: Promise<Connection> | undefined
  #connection: Connection | undefined
  #asides = 0
  #failures = 0
  #notBefore = -Infinity
  #failure: unknown
  #closed = false

  constructor(options: SshOptions, tools: LinkTools) {
    this.#options = options
    this.#tools = tools
  }

  /** The living connection, if there is one. */
  get live(): Connection | undefined {
    return this.#connection?.ended ? undefined : this.#connection
  }

  /** A living connection. Throws what connecting throws, TRANSPORT_CLOSED. */
  async connection(): Promise<Connection> {
    if (this.#closed) throw closed()
    if (this.live) return this.live
    if (!this.#connecting && this.#tools.clock.monotonic() < this.#notBefore) throw this.#failure
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
  }

  /**
   * Opens a session with a command: on the shared connection, or, where the machine allows no further session on that, on one of
   * a few more that end with their session. A session that was closed here counts there as long as its processes live, so even
   * killing those needs one more. Throws SSH_SESSION_REFUSED when those are used up, too.
   */
  async session(command: string): Promise<Session> {
    const connection = await this.connection()
    try {
      return { channel: await connection.exec(command), connection }
    } catch (error) {
      if (!isMusterError(error, 'SSH_SESSION_REFUSED') || this.#asides >= ASIDES) throw error
      return this.#aside(command)
    }
  }

  readonly close = closeOnce(async () => {
    this.#closed = true
    for (const connection of this.#all) connection.close()
    // One that is just coming about is hung up on as soon as it has.
    await this.#connecting?.catch(() => undefined)
  })

  async #aside(command: string): Promise<Session> {
    this.#asides += 1
    let connection: Connection | undefined
    try {
      connection = await this.#open()
      void connection.lost.then(() => (this.#asides -= 1))
      const aside = connection
      const channel = await aside.exec(command)
      channel.once('close', () => aside.close())
      return { channel, connection }
    } catch (error) {
      if (connection) connection.close()
      else this.#asides -= 1
      throw error
    }
  }

  async #connect(): Promise<Connection> {
    const { clock, random = Math.random } = this.#tools
    try {
      const connection = await this.#open()
      this.#failures = 0
      if (this.#closed) {
        connection.close()
        throw closed()
      }
      return (this.#connection = connection)
    } catch (error) {
      const pause = Math.min(PAUSE_MS * 2 ** this.#failures, PAUSE_MAX_MS)
      this.#failures += 1
      this.#notBefore = clock.monotonic() + pause * (0.5 + random())
      this.#failure = error
      throw error
    }
  }

  async #open(): Promise<Connection> {
    const { clock, logger } = this.#tools
    const stages = await routeTo(this.#options, logger)
    const timeoutMs = this.#options.connectTimeoutMs ?? CONNECT_MS
    const connection = await connectThrough(stages, { clock, logger, timeoutMs })
    this.#all.add(connection)
    void connection.lost.then(() => this.#all.delete(connection))
    return connection
  }
}

function closed(): MusterError {
  return new MusterError('TRANSPORT_CLOSED', 'the connection to the machine was closed')
}
