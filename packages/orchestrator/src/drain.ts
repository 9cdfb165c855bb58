/**
 * How a consumer ends: it takes no more, its handlers go on to their end; where a limit was given their signals abort when it is reached, and
 * what does not end even then is left behind. Invariant: closing again never waits longer than the shortest limit that was given,
 * and all who close await the same end.
 */
import { abortReason, ENOUGH, MusterError, parseWith, type Clock } from '@muster/core'
import type { HeldDelivery } from './delivery.js'
import { closeOptions, type CloseOptions } from './options.js'

/** What a consumer does at each step. */
export interface DrainSteps {
  /** Takes no more, and gives back what no handler works on. */
  readonly stop: () => Promise<void>
  /** How many are held. */
  readonly active: () => number
  /** Aborts the signals of all that is held. */
  readonly interrupt: (why: (held: HeldDelivery) => MusterError) => void
  /** Writes down what is left behind. */
  readonly abandon: () => void
  /** Nothing is left to do. */
  readonly end: () => Promise<void>
}

/** The end of a consumer. */
export class Drain {
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined
  readonly #steps: DrainSteps
  readonly #over = new AbortController()
  #begun = false
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined
  #interruption: ((held: HeldDelivery) => MusterError) | undefined

  constructor(clock: Clock, signal: AbortSignal | undefined, steps: DrainSteps) {
    this.#clock = clock
    this.#signal = signal
    this.#steps = steps
  }

  /** Whether it takes no more. */
  get begun(): boolean {
    return this.#begun
  }

  /** Whether handlers were told to stop. */
  get interrupted(): boolean {
    return this.#interruption !== undefined
  }

  /** Listens to the signal of the consumer. */
  watch(): void {
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (this.#signal?.aborted) this.#onAbort()
  }

  /** Begins to end, or hastens an end that has begun. Throws INVALID_ARGUMENT. */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs, graceMs } = parseWith(closeOptions, options, 'close')
    if (drainMs !== undefined) void this.#limit(drainMs, graceMs)
    await (this.#closing ??= this.#run())
  }

  /** Nothing is held any more. */
  idle(): void {
    this.#idle?.()
  }

  async #run(): Promise<void> {
    this.#begun = true
    await this.#steps.stop()
    if (this.#steps.active() > 0 && !this.#over.signal.aborted)
      await new Promise<void>((resolve) => (this.#idle = resolve))
    this.#over.abort(ENOUGH)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    await this.#steps.end()
  }

  async #limit(drainMs: number, graceMs: number): Promise<void> {
    const { signal } = this.#over
    try {
      await this.#clock.sleep(drainMs, { signal })
      this.#interrupt(({ id, queue }) => {
        const text = `message ${id} of queue ${queue}: the consumer closes and waited ${drainMs} ms`
        return new MusterError('CONSUMER_CLOSED', text)
      })
      await this.#clock.sleep(graceMs, { signal })
      this.#steps.abandon()
      this.#over.abort(ENOUGH)
      this.#idle?.()
    } catch (error) {
      if (error !== ENOUGH) throw error // all ended in time
    }
  }

  readonly #onAbort = (): void => {
    const cause = this.#signal && abortReason(this.#signal)
    this.#interrupt(({ id, queue }) => {
      const text = `message ${id} of queue ${queue}: the consumer was told to stop`
      return new MusterError('DELIVERY_CANCELLED', text, { cause })
    })
    void this.close()
  }

  #interrupt(why: (held: HeldDelivery) => MusterError): void {
    this.#interruption ??= why
    this.#steps.interrupt(why)
  }
}
