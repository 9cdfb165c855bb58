/**
 * Waiting for messages of one queue: those who wait stand in a row, and the first of them has a receive standing at the server, on a
 * connection of its own: a blocking read of the queue's wake list, and right behind it the receive, which the server carries out in the
 * moment in which the read ends. So a message is under way as soon as it is published, without a round trip between the call and the look.
 * The read ends when a token is on the wake list, when somebody of ours knocks (something falls due), and once a second in any
 * case, so that neither a token that died with its taker nor a deadline that only a dead process knew delays a message for longer.
 *
 * Invariant: one receive stands at a time, it takes one message at most, and once it is **called off** it takes none, even if the
 * server carries it out later: a process that vanishes or freezes while it waits takes one message with it at most, for its lease.
 */
import type { Clock } from '@muster/core'
import type { Argument, Connection } from './connection.js'
import { ConnectionLost } from './errors.js'

/** How long the server blocks at most. */
const LOOK_MS = 1_000
const BLOCK_GRACE_MS = 2_500
/** How long the connection outlives the last who stood. */
const IDLE_MS = 10_000

/** What a stand has to do with the server. */
export interface StandDeps {
  readonly clock: Clock
  /** The list on which one knocks, and the wake list. */
  readonly keys: readonly [knock: string, wake: string]
  /** Makes a connection that keeps no process alive. */
  readonly dial: () => Promise<Connection>
  /** Ends the blocking read; `off`: and the receive behind it takes nothing. */
  readonly knock: (off: boolean) => Promise<unknown>
  /** Takes back what was called off too late to be heard. */
  readonly clear: () => Promise<unknown>
  /** Nobody has stood here for a while: the stand can be forgotten. */
  readonly onIdle: () => void
}

/** What the server answered to a receive that stood: its time when it began to wait, in milliseconds, and the reply. */
export interface Stood {
  readonly beganMs: number
  readonly reply: unknown
}

/** The stand of one queue. */
export class Stand {
  readonly #deps: StandDeps
  #last: Promise<void> = Promise.resolve()
  #waiting = 0
  #destroyed = false
  #connection: Connection | undefined
  #standing = false
  #off: Promise<unknown> | undefined
  #rung = false
  #due: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(deps: StandDeps) {
    this.#deps = deps
  }

  /** Whether it was ended for good. */
  get destroyed(): boolean {
    return this.#destroyed
  }

  /** A place at the end of the row. `first` resolves when it is the first; whoever takes one leaves it. */
  queueUp(): { readonly first: Promise<void>; readonly leave: () => void } {
    const first = this.#last
    let leave!: () => void
    const left = new Promise<void>((resolve) => (leave = resolve))
    this.#last = first.then(() => left)
    this.#waiting++
    return { first, leave: () => (this.#left(), leave()) }
  }

  /** Whether the first has to look now, without waiting; asked once for each ring. */
  takeRing(): boolean {
    const rung = this.#rung
    this.#rung = false
    return rung
  }

  /** Makes the first look now: something in this process has changed, or is due. */
  ring(): void {
    if (this.#waiting === 0) return
    this.#rung = true
    // Where the server does not hear it, the receive that stands ends by itself.
    if (this.#standing && !this.#off) this.#deps.knock(false).catch(() => undefined)
  }

  /** Makes the first look in so many milliseconds at the latest. */
  ringIn(ms: number): void {
    const at = this.#deps.clock.monotonic() + ms
    if (this.#waiting === 0 || (this.#due && this.#due.at <= at)) return
    this.#due?.cancel()
    const cancel = this.#deps.clock.after(Math.ceil(ms), () => {
      this.#due = undefined
      this.ring()
    })
    this.#due = { at, cancel }
  }

  /** Connects, where that is to be done. Throws what the network said. */
  async connect(): Promise<void> {
    if (this.#connection) return
    const connection = await this.#deps.dial()
    if (this.#destroyed) connection.destroy()
    this.#connection = connection
  }

  /** Lets a receive stand; only for the first of the row, when connected. Rejects where nobody knows whether it took something. */
  async stand(receive: readonly Argument[]): Promise<Stood> {
    const connection = this.#connection
    if (connection === undefined) throw new ConnectionLost('not connected')
    const within = LOOK_MS + BLOCK_GRACE_MS
    this.#standing = true
    try {
      const [time, , reply] = await Promise.all([
        connection.call('time', [], within),
        connection.call('blpop', [...this.#deps.keys, String(LOOK_MS / 1_000)], within),
        connection.call('evalsha', receive, within),
      ])
      this.#standing = false
      await this.#clear()
      const [seconds = 0, micros = 0] = (time as readonly Buffer[]).map(Number)
      return { beganMs: seconds * 1_000 + micros / 1_000, reply }
    } catch (error) {
      if (this.#connection === connection) this.#connection = undefined
      connection.destroy()
      this.#off = undefined
      throw error
    } finally {
      this.#standing = false
    }
  }

  /** The receive that stands takes nothing more: it ends as soon as the server hears of it. */
  callOff(): void {
    if (this.#standing) this.#off ??= this.#deps.knock(true).catch(() => undefined)
  }

  /** Where the receive had ended before it was called off, the next one must not hear of it. */
  async #clear(): Promise<void> {
    const off = this.#off
    if (off === undefined) return
    await off
    this.#off = undefined
    await this.#deps.clear().catch(() => undefined)
  }

  /** Ends the connection for good; what stands is lost. */
  destroy(): void {
    this.#destroyed = true
    this.#due?.cancel()
    this.#due = undefined
    this.#connection?.destroy()
    this.#connection = undefined
  }

  #left(): void {
    this.#waiting--
    if (this.#waiting > 0) return
    this.#rung = false
    this.#due?.cancel()
    this.#due = undefined
    this.#deps.clock.after(IDLE_MS, () => {
      if (this.#waiting > 0) return
      this.destroy()
      this.#deps.onIdle()
    })
  }
}
