/**
 * The link to one machine: one connection that comes about when it is needed, is shared by all who need it, and comes again
 * after a loss. Invariant: after a failed try nobody tries again before a pause that grows and is never the same for two
 * controllers; who asks meanwhile gets the failure at once.
 */
import { closeOnce, MusterError, type Clock, type Logger } from '@muster/core'
import { Asides, type Need, type Session } from './asides.js'
import type { Connection } from './connection.js'
import type { SshOptions } from './options.js'
import { connectPinned } from './pinned.js'
import { routeTo } from './route.js'

const CONNECT_MS = 15_000
const PAUSE_MS = 250
const PAUSE_MAX_MS = 30_000

/** What a link needs. */
export interface LinkTools {
  readonly clock: Clock
  readonly logger: Logger
  /** Between 0 and 1: spreads the tries of many controllers. Default Math.random. */
  readonly random?: () => number
}

/** See the file's head. */
export class Link {
  readonly #options: SshOptions
  readonly #tools: LinkTools
  readonly #all = new Set<Connection>()
  readonly #asides = new Asides(() => this.#open())
  readonly #over = new AbortController()
  #connecting: Promise<Connection> | undefined
  #connection: Connection | undefined
  #failures = 0
  #notBefore = -Infinity
  #failure: unknown

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
    if (this.#over.signal.aborted) throw closed()
    if (this.live) return this.live
    if (!this.#connecting && this.#tools.clock.monotonic() < this.#notBefore) throw this.#failure
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
  }

  /**
   * Opens a session with a command: on the shared connection, or, where the machine allows no further session on that, on one
   * beside it. Throws SSH_SESSION_REFUSED when those are used up, too, and what connecting throws.
   */
  async session(command: string, need: Need): Promise<Session> {
    return this.#asides.session(await this.connection(), command, need)
  }

  readonly close = closeOnce(async () => {
    this.#over.abort(closed())
    await Promise.all([...this.#all].map((connection) => connection.close()))
    await this.#connecting?.catch(() => undefined)
  })

  async #connect(): Promise<Connection> {
    const { clock, random = Math.random } = this.#tools
    try {
      this.#connection = await this.#open()
      this.#failures = 0
      return this.#connection
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
    const { signal } = this.#over
    const stages = await routeTo(this.#options, this.#tools)
    const timeoutMs = this.#options.connectTimeoutMs ?? CONNECT_MS
    const connection = await connectPinned(stages, { clock, logger, timeoutMs, signal })
    this.#all.add(connection)
    void connection.lost.then(() => this.#all.delete(connection))
    if (signal.aborted) {
      await connection.close()
      throw closed()
    }
    return connection
  }
}

function closed(): MusterError {
  return new MusterError('TRANSPORT_CLOSED', 'the connection to the machine was closed')
}
