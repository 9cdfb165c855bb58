/**
 * What ends a receive before it has anything: its caller's signal, the closing of the backend, or its time. Invariant: the first of them
 * counts, and `dispose` leaves no listener and no timer behind.
 */
import { ENOUGH, abortReason, type Clock } from '@muster/core'

/** Why a receive ended. */
export type End = 'aborted' | 'closed' | 'over'

/** The ends of one receive. */
export class Ends {
  /** Resolves at the first end. */
  readonly ended: Promise<void>
  /** Resolves at an end that does not wait for a look under way: that of the signal, or of the backend. */
  readonly cut: Promise<void>
  readonly #signal: AbortSignal | undefined
  #why: End | undefined
  #timer: AbortController | undefined
  #end!: () => void
  #cut!: () => void

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    this.ended = new Promise((resolve) => (this.#end = resolve))
    this.cut = new Promise((resolve) => (this.#cut = resolve))
    signal?.addEventListener('abort', this.#onAbort)
  }

  /** The end that counts; undefined as long as there is none. */
  get why(): End | undefined {
    return this.#why
  }

  /** Ends it because the backend closes. */
  close(): void {
    this.#finish('closed')
  }

  /** Ends it after `ms`; `keepAlive`: the process lives as long. */
  after(ms: number, keepAlive: boolean, clock: Clock): void {
    this.#timer = new AbortController()
    const over = (): void => this.#finish('over')
    clock.sleep(ms, { signal: this.#timer.signal, unref: !keepAlive }).then(over, over)
  }

  /** What a receive answers that ended with nothing. Throws the reason of its signal. */
  answer(): [] {
    if (this.#why === 'aborted' && this.#signal) throw abortReason(this.#signal)
    return []
  }

  /** Forgets everything. */
  dispose(): void {
    this.#why ??= 'over'
    this.#timer?.abort(ENOUGH)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.#finish('aborted')

  #finish(why: End): void {
    if (this.#why !== undefined) return
    this.#why = why
    if (why !== 'over') this.#cut()
    this.#end()
  }
}
