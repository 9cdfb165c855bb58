/**
 * Waiting for messages of one queue: a row of seats, and what makes the first of them look. That is a token on the queue's wake list,
 * for which a connection of its own blocks while anybody sits; the moment at which something falls due; and once a second in any
 * case, so that neither a token that died with its taker nor a deadline that only a dead process knew can delay a message for longer.
 *
 * Invariant: a ring is never lost: it goes to one who will look after it was heard, or back to the server for another process.
 */
import { ENOUGH, TaskGroup, type Clock } from '@muster/core'
import type { Connection } from './connection.js'

/** How often somebody looks although nothing rang. */
const LOOK_MS = 1_000
/** How long the server blocks at a time; tokens that go to a connection that died unnoticed are lost for no longer than that. */
const BLOCK_S = 5
const BLOCK_GRACE_MS = 2_500
/** How long the connection outlives the last who sat. */
const IDLE_MS = 10_000
const RETRY_MS = 500

/** What a bell stands on. */
export interface BellDeps {
  readonly clock: Clock
  /** The wake list. */
  readonly key: string
  /** Makes a connection that keeps no process alive. */
  readonly dial: () => Promise<Connection>
  /** Puts back a token that was taken for nobody. */
  readonly poke: () => Promise<void>
  /** Nobody has sat here for a while: the bell can be forgotten. */
  readonly onIdle: () => void
}

/** One who waits. */
export class Seat {
  #rung = false
  #wake: (() => void) | undefined

  /** Whether it looks, or will. */
  get awake(): boolean {
    return this.#rung || this.#wake === undefined
  }

  /** Whether it was rung and has not looked since. */
  get ringing(): boolean {
    return this.#rung
  }

  /** Makes it look, again if it is looking. */
  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Resolves when it should look. It counts as rung until it does. */
  async rung(): Promise<void> {
    if (!this.#rung) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  /** It looks now. */
  looks(): void {
    this.#wake = undefined
    this.#rung = false
  }
}

/** The bell of one queue. */
export class Bell {
  readonly #deps: BellDeps
  readonly #row = new Set<Seat>()
  readonly #tasks = new TaskGroup(() => undefined)
  #connection: Connection | undefined
  #listening = false
  #closed = false
  #look: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(deps: BellDeps) {
    this.#deps = deps
  }

  /** Takes a seat at the end of the row. */
  sit(): Seat {
    const seat = new Seat()
    this.#row.add(seat)
    if (!this.#listening && !this.#closed) {
      this.#listening = true
      this.#tasks.run(() => this.#listen())
    }
    this.lookIn(LOOK_MS)
    return seat
  }

  /** Leaves the row. A ring that was not answered goes to the next; one who got something has seen to that already. */
  leave(seat: Seat, served: boolean): void {
    this.#row.delete(seat)
    if (!served && seat.ringing && !this.ring() && !this.#closed) this.#tasks.run(this.#deps.poke)
    if (this.#row.size > 0) return
    this.#look?.cancel()
    this.#look = undefined
  }

  /** Makes one look: the first that does not already. Says whether anybody sits here. */
  ring(): boolean {
    let first: Seat | undefined
    for (const seat of this.#row) {
      first ??= seat
      if (seat.awake) continue
      seat.ring()
      return true
    }
    first?.ring()
    return first !== undefined
  }

  /** Makes one look in so many milliseconds at the latest. */
  lookIn(ms: number): void {
    const at = this.#deps.clock.monotonic() + ms
    if (this.#row.size === 0 || (this.#look && this.#look.at <= at)) return
    this.#look?.cancel()
    const cancel = this.#deps.clock.after(Math.ceil(ms), () => {
      this.#look = undefined
      if (this.ring()) this.lookIn(LOOK_MS)
    })
    this.#look = { at, cancel }
  }

  /** Stops listening. A token that is on its way to us goes back. */
  async close(): Promise<void> {
    this.#closed = true
    this.#look?.cancel()
    const listened = this.#connection !== undefined && this.#listening
    this.#connection?.destroy()
    if (listened) this.#tasks.run(this.#deps.poke)
    // Where the server does not answer, its other clients look once a second anyway.
    const enough = new AbortController()
    const patience = this.#deps.clock.sleep(LOOK_MS, { signal: enough.signal }).catch(() => undefined)
    await Promise.race([this.#tasks.settled(), patience])
    enough.abort(ENOUGH)
  }

  async #listen(): Promise<void> {
    const { clock, key, dial, poke } = this.#deps
    while (this.#row.size > 0 && !this.#closed) {
      try {
        this.#connection ??= await dial()
        if (this.#closed) this.#connection.destroy()
        const token = await this.#connection.call('blpop', [key, String(BLOCK_S)], BLOCK_S * 1_000 + BLOCK_GRACE_MS)
        if (token && !this.ring()) await poke()
      } catch {
        // Whoever sits looks once a second anyway, and hears there what is wrong with the server.
        this.#connection?.destroy()
        this.#connection = undefined
        if (!this.#closed) await clock.sleep(RETRY_MS, { unref: true })
      }
    }
    this.#listening = false
    this.#idle()
  }

  #idle(): void {
    this.#deps.clock.after(IDLE_MS, () => {
      if (this.#listening) return
      this.#connection?.destroy()
      this.#connection = undefined
      this.#deps.onIdle()
    })
  }
}
