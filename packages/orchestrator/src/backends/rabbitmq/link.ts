/**
 * A connection that comes back. amqplib's own recovery only dials again; what was on the connection (channels, consumers, unconfirmed
 * messages) is ours to rebuild, so this tells when a connection is there and when it has gone, and nothing more.
 *
 * Invariant: at most one connection at a time; whatever was made on one that has gone is never used on the next.
 */
import type { Clock, Logger, MusterError } from '@muster/core'
import type { ChannelModel } from 'amqplib'
import { connect, type Connection } from './client.js'
import type { RabbitConfig } from './config.js'
import { unavailable } from './errors.js'
import { Presence } from './presence.js'
import { Signal } from './signal.js'

/** How long a call waits for a connection that is being made again, before it says BACKEND_UNAVAILABLE. */
const GRACE_MS = 2_000
const [PAUSE_MIN_MS, PAUSE_MAX_MS] = [50, 1_000]

/** What a link stands on. */
export interface LinkDeps {
  readonly config: RabbitConfig
  readonly clock: Clock
  readonly logger: Logger
}

/** One connection to the server, made again whenever it breaks. */
export class Link {
  readonly up = new Signal<ChannelModel>()
  readonly blocking = new Signal()
  readonly unblocked = new Signal()
  /** Why the server takes no messages just now (memory or disk); undefined while it does. */
  blocked: string | undefined
  readonly #deps: LinkDeps
  readonly #purpose: string
  #presence: Presence | undefined
  #connection: Connection | undefined
  #closed = false
  #lastError: unknown
  #stopPause: (() => void) | undefined

  constructor(purpose: string, deps: LinkDeps) {
    this.#purpose = purpose
    this.#deps = deps
  }

  /** The first connection. Throws what keeps it from coming about; later ones are tried until `close`. */
  async open(): Promise<void> {
    const { config, clock } = this.#deps
    this.#adopt(await connect(config, this.#purpose))
    this.#presence = new Presence(clock, config.heartbeatS * 1_000)
  }

  /** How often this process was away for longer than a heartbeat: the server may have given up the connection, and nobody here knows. */
  absences(): number {
    return this.#presence?.absences() ?? 0
  }

  /** The server's version, once connected. */
  get version(): string {
    return this.#connection?.version ?? ''
  }

  /** The connection if it is there. */
  get current(): ChannelModel | undefined {
    return this.#connection?.model
  }

  /** The connection, now or within the grace. Throws BACKEND_UNAVAILABLE. */
  async ready(): Promise<ChannelModel> {
    if (this.#connection) return this.#connection.model
    return new Promise((resolve, reject) => {
      const end = (): void => {
        stopListening()
        stopTimer()
      }
      const stopListening = this.up.on((model) => {
        end()
        resolve(model)
      })
      const stopTimer = this.#deps.clock.after(GRACE_MS, () => {
        end()
        reject(this.unavailable())
      })
    })
  }

  /** The error for a call that found no connection. */
  unavailable(): MusterError {
    return unavailable(this.#deps.config.address, 'the connection is down and not back yet', this.#lastError)
  }

  /** Ends the connection for good. */
  async close(): Promise<void> {
    this.#closed = true
    this.#presence?.stop()
    this.#stopPause?.()
    const connection = this.#connection
    if (connection === undefined) return
    const patience = new Promise<void>((resolve) => this.#deps.clock.after(GRACE_MS, resolve))
    const polite = connection.model.close().catch(() => undefined) // gone by itself: closed all the same
    await Promise.race([polite, patience])
    connection.destroy()
    this.#connection = undefined
  }

  #adopt(connection: Connection): void {
    const { model } = connection
    this.#connection = connection
    this.blocked = undefined
    model.on('error', (error) => (this.#lastError = error))
    model.on('blocked', (reason) => this.#block(reason))
    model.on('unblocked', () => this.#unblock())
    model.once('close', (error) => this.#lose(connection, error))
    // A listener of ours that threw: the library would end the connection otherwise.
    model.on('handler-error', (error) => this.#deps.logger.error({ err: error }, 'a RabbitMQ listener failed'))
    this.up.emit(model)
  }

  #block(reason: string): void {
    this.blocked = reason
    this.#deps.logger.warn({ reason }, 'RabbitMQ takes no messages: it is short of memory or disk')
    this.blocking.emit()
  }

  #unblock(): void {
    this.blocked = undefined
    this.unblocked.emit()
  }

  #lose(connection: Connection, error: unknown): void {
    connection.destroy()
    if (this.#connection !== connection) return
    this.#connection = undefined
    if (this.blocked !== undefined) this.#unblock()
    if (this.#closed) return
    this.#lastError = error ?? this.#lastError
    const { config, logger } = this.#deps
    logger.warn(
      { err: error, server: config.address.shown, purpose: this.#purpose },
      'the connection to RabbitMQ broke',
    )
    this.#redial(PAUSE_MIN_MS)
  }

  #redial(pauseMs: number): void {
    this.#stopPause = this.#deps.clock.after(pauseMs, () => {
      connect(this.#deps.config, this.#purpose).then(
        (connection) => {
          // What refused us before may be a server that was still starting: so every error is worth another try.
          if (this.#closed) connection.destroy()
          else this.#adopt(connection)
        },
        (error: unknown) => {
          this.#lastError = error
          if (!this.#closed) this.#redial(Math.min(pauseMs * 2, PAUSE_MAX_MS))
        },
      )
    })
  }
}
