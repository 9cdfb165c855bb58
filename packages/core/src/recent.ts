/**
 * A read that many ask for and that changes slowly: one look serves all who ask while it is under way or soon after. Invariant:
 * what `recently` gives was read at most `ms` ago; a read that failed is not remembered.
 */
import type { Clock } from './clock.js'

/** See the file's head. */
export class Recent<T> {
  readonly #clock: Clock
  readonly #ms: number
  readonly #read: () => Promise<T>
  #last: { readonly at: number; readonly value: Promise<T> } | undefined

  /** `read` is called when what is known is older than `ms` milliseconds. */
  constructor(clock: Clock, ms: number, read: () => Promise<T>) {
    this.#clock = clock
    this.#ms = ms
    this.#read = read
  }

  /** As it was at most `ms` ago. Rejects as `read` does. */
  recently(): Promise<T> {
    const last = this.#last
    return last && this.#clock.monotonic() - last.at <= this.#ms ? last.value : this.now()
  }

  /** As it is now. Rejects as `read` does. */
  now(): Promise<T> {
    const last = { at: this.#clock.monotonic(), value: this.#read() }
    this.#last = last
    last.value.catch(() => {
      if (this.#last === last) this.#last = undefined
    })
    return last.value
  }
}
