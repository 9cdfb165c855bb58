/**
 * Whether this process was away: stopped, on a machine that slept, or busy in one step for longer than a heartbeat. The server may have
 * given up its connections meanwhile, and what still lies in their sockets is with somebody else. Messages are read before
 * timers run, so whoever takes one asks here; what was noticed once is known to all by the number of absences.
 */
import type { Clock } from '@muster/core'

/** How often a process that is not away says so, for each heartbeat. */
const TICKS = 4

/** The presence of one process, watched until `stop`. */
export class Presence {
  readonly #clock: Clock
  readonly #heartbeatMs: number
  #seenAt: number
  /** By the wall clock as well: the other one stands still on a machine that sleeps. One that is set looks like an absence, and costs a question. */
  #seenAtWall: number
  #absences = 0
  #stopTimer: () => void

  constructor(clock: Clock, heartbeatMs: number) {
    this.#clock = clock
    this.#heartbeatMs = heartbeatMs
    this.#seenAt = clock.monotonic()
    this.#seenAtWall = clock.now()
    this.#stopTimer = this.#tick()
  }

  /** How often it was away until now. */
  absences(): number {
    const [now, wall] = [this.#clock.monotonic(), this.#clock.now()]
    if (Math.max(now - this.#seenAt, wall - this.#seenAtWall) > this.#heartbeatMs) this.#absences++
    this.#seenAt = now
    this.#seenAtWall = wall
    return this.#absences
  }

  stop(): void {
    this.#stopTimer()
  }

  #tick(): () => void {
    return this.#clock.after(this.#heartbeatMs / TICKS, () => {
      this.absences()
      this.#stopTimer = this.#tick()
    })
  }
}
