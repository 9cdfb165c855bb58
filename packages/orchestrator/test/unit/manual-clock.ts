/** A clock that stands still until it is told to move: for deadlines that no test can wait for. */
import { abortReason, type Clock } from '@muster/core'

interface Alarm {
  readonly at: number
  readonly ring: () => void
}

/** A clock moved by hand. `longestTimer` is the longest that anybody asked a timer for, in milliseconds. */
export class ManualClock implements Clock {
  readonly #alarms = new Set<Alarm>()
  #time = 0
  longestTimer = 0

  /** How many timers are pending. */
  get pending(): number {
    return this.#alarms.size
  }

  now(): number {
    return 1_700_000_000_000 + this.#time
  }

  monotonic(): number {
    return this.#time
  }

  after(ms: number, callback: () => void): () => void {
    this.longestTimer = Math.max(this.longestTimer, ms)
    const alarm: Alarm = { at: this.#time + ms, ring: callback }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  sleep(ms: number, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.after(ms, resolve)
      signal?.addEventListener('abort', () => {
        cancel()
        reject(abortReason(signal))
      })
    })
  }

  /** Moves on, ringing what falls due on the way, in order. */
  advance(ms: number): void {
    const end = this.#time + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#alarms.delete(next)
      this.#time = Math.max(this.#time, next.at)
      next.ring()
    }
    this.#time = end
  }

  #next(end: number): Alarm | undefined {
    return [...this.#alarms].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
  }
}
