/**
 * The one connection that all calls share, and what happens when it is not there. Invariant: a call is sent again only in the form that its
 * maker gave for a repetition, so that nothing is ever done twice; and it ends within `PATIENCE_MS` of the loss, with an answer or with
 * an error that says whether it may have happened.
 *
 * Nobody reconnects in the background: whoever has something to ask connects, the others wait for the same attempt. So an idle
 * backend does nothing, and a program that has ended its work ends.
 */
import type { Clock } from '@muster/core'
import type { RedisConfig } from './config.js'
import type { Argument, Connection } from './connection.js'
import { ConnectionLost, dialFailed, operationFailed, remedyOf, unavailable } from './errors.js'
import type { QueueKeys } from './keys.js'
import type { Script } from './lua.js'
import type { RunOptions, Server, Spell } from './server.js'

/** How long calls wait for a server that went away. Later ones fail at once until it is back. */
const PATIENCE_MS = 5_000
const [PAUSE_MIN_MS, PAUSE_MAX_MS] = [20, 1_000]

/** What a link stands on. */
export interface LinkDeps {
  readonly config: RedisConfig
  readonly clock: Clock
  readonly random: () => number
  /** Makes a connection that is ready for commands; `keepsAlive`: calls under way keep the process alive. */
  readonly dial: (keepsAlive: boolean) => Promise<Connection>
}

/** One attempt at a call; `repeated` where an earlier one may have been carried out. */
type Attempt = (connection: Connection, repeated: boolean) => Promise<unknown>

/** The link. */
export class Link implements Server {
  readonly #deps: LinkDeps
  #connection: Connection | undefined
  #dialing: Promise<Connection> | undefined
  #failures = 0
  #nextDialAt = 0
  /** Until when calls wait for a server that went away; undefined: it is there, or nobody has asked since. */
  #patientUntil: number | undefined
  #lastFailure: unknown

  constructor(deps: LinkDeps) {
    this.#deps = deps
  }

  /** Connects, once: what fails is thrown. Throws BACKEND_UNAVAILABLE and CONFIG_INVALID. */
  async open(): Promise<Connection> {
    try {
      return await this.#dial()
    } catch (error) {
      throw dialFailed(this.#deps.config.address, error)
    }
  }

  run(script: Script, keys: QueueKeys, args: Spell, options: RunOptions = {}): Promise<unknown> {
    const { slot, after } = options
    const head = keys.head(script, slot)
    const evaluate = async (connection: Connection, repeated: boolean): Promise<unknown> => {
      // What was sent in order is repeated in order.
      if (repeated) await after
      const rest = [...head, ...args(repeated)]
      try {
        return await connection.call('evalsha', [script.sha, ...rest])
      } catch (error) {
        if (remedyOf(error) !== 'load') throw error
        return connection.call('eval', [script.source, ...rest])
      }
    }
    return this.#attempt(evaluate, options.repeated ?? false)
  }

  command(name: string, key: string, ...args: readonly Argument[]): Promise<unknown> {
    return this.#attempt((connection) => connection.call(name, [key, ...args]), false)
  }

  listen(): Promise<Connection> {
    return this.#deps.dial(false)
  }

  /** Tries until it succeeds, or until trying does not help. Throws typed errors only. */
  async #attempt(attempt: Attempt, repeatedBefore: boolean): Promise<unknown> {
    const { clock, config } = this.#deps
    let repeated = repeatedBefore
    let giveUpAt: number | undefined
    for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
      let used: Connection | undefined
      try {
        used = this.#connection ?? (await this.#connect(giveUpAt))
        return await attempt(used, repeated)
      } catch (error) {
        // No connection came about, and that is where the patience was.
        if (used === undefined) throw operationFailed(config.address, error, repeated)
        const remedy = remedyOf(error)
        repeated ||= error instanceof ConnectionLost
        if (remedy === 'reconnect' || remedy === 'repeat') this.#drop(used)
        giveUpAt ??= this.#connection ? clock.monotonic() + PATIENCE_MS : this.#patience()
        if (remedy === 'give-up' || remedy === 'load' || clock.monotonic() >= giveUpAt)
          throw operationFailed(config.address, error, repeated)
        if (remedy !== 'repeat' || pauseMs > PAUSE_MIN_MS) await clock.sleep(this.#jitter(pauseMs))
      }
    }
  }

  /** Ends the connection; calls under way are lost. */
  close(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  /** A connection, as soon as there is one. Fails at once where the server has been away for long. */
  async #connect(giveUpAt: number | undefined): Promise<Connection> {
    const { clock, config } = this.#deps
    const patientUntil = giveUpAt ?? this.#patience()
    for (;;) {
      const now = clock.monotonic()
      const waitMs = this.#nextDialAt - now
      if (waitMs > 0 && (now + waitMs > patientUntil || now >= patientUntil)) throw this.#failed()
      if (waitMs > 0) await clock.sleep(waitMs)
      try {
        return this.#connection ?? (await this.#dial())
      } catch (error) {
        const typed = dialFailed(config.address, error)
        const loading = remedyOf(error) === 'wait' || remedyOf(error) === 'reconnect'
        if (!typed.retryable && !loading) throw typed
        this.#lastFailure = typed
        if (clock.monotonic() >= patientUntil) throw typed
      }
    }
  }

  /** One for all who wait: it begins with the first who asks after the loss, and does not begin again until the server was there. */
  #patience(): number {
    return (this.#patientUntil ??= this.#deps.clock.monotonic() + PATIENCE_MS)
  }

  #failed(): unknown {
    return this.#lastFailure ?? unavailable(this.#deps.config.address, 'no connection')
  }

  #dial(): Promise<Connection> {
    return (this.#dialing ??= this.#dialOnce().finally(() => (this.#dialing = undefined)))
  }

  async #dialOnce(): Promise<Connection> {
    const { clock, dial } = this.#deps
    try {
      const connection = await dial(true)
      this.#connection = connection
      this.#patientUntil = undefined
      this.#failures = 0
      this.#nextDialAt = 0
      void connection.ended.then(() => this.#drop(connection))
      return connection
    } catch (error) {
      const pauseMs = Math.min(PAUSE_MIN_MS * 2 ** this.#failures++, PAUSE_MAX_MS)
      this.#nextDialAt = clock.monotonic() + this.#jitter(pauseMs)
      throw error
    }
  }

  #drop(connection: Connection): void {
    connection.destroy()
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#patientUntil = undefined
  }

  /** So that a thousand processes do not come back at one moment. */
  #jitter(ms: number): number {
    return ms * (0.5 + this.#deps.random() / 2)
  }
}
