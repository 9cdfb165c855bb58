/**
 * What ends a receive before it has anything: its caller's signal, the closing of the backend, or its time. Invariant: the first of them
 * counts, and `dispose` leaves no listener and no timer behind. A receive whose time runs keeps the process alive until it has answered,
 * unless it is not to: nothing else does, once the server has said all that it was asked.
 */
import { abortReason, type Clock } from '@muster/core'
import type { ReceiveRequest } from '../../backend.js'

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
  readonly #keepAlive: boolean
  readonly #clock: Clock
  #cancel: (() => void) | undefined
  #end!: () => void
  #cut!: () => void

  constructor({ signal, keepAlive = true }: Pick<ReceiveRequest, 'signal' | 'keepAlive'>, clock: Clock) {
    this.#signal = signal
    this.#keepAlive = keepAlive
    this.#clock = clock
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

  /** Ends it after `ms`. */
  after(ms: number): void {
    this.#timer(ms, () => this.#finish('over'))
  }

  /** Once its time is over: resolves after `ms` more, unless the receive has answered by then. */
  pause(ms: number): Promise<undefined> {
    return new Promise((resolve) => this.#timer(ms, () => resolve(undefined)))
  }

  /** What a receive answers that ended with nothing. Throws the reason of its signal. */
  answer(): [] {
    if (this.#why === 'aborted' && this.#signal) throw abortReason(this.#signal)
    return []
  }

  /** Forgets everything. */
  dispose(): void {
    this.#why ??= 'over'
    this.#cancel?.()
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  #timer(ms: number, callback: () => void): void {
    this.#cancel = this.#clock.after(ms, callback, { keepAlive: this.#keepAlive })
  }

  readonly #onAbort = (): void => this.#finish('aborted')

  #finish(why: End): void {
    if (this.#why !== undefined) return
    this.#why = why
    if (why !== 'over') this.#cut()
    this.#end()
  }
}
