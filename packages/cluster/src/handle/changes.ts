/**
 * A bell that rings when something is recorded about one job. Waiting is on the record's own watch, never on a timer that
 * asks again; what rings between two waits is not missed.
 *
 * Invariant: while somebody awaits `next`, the process stays alive; a subscription alone never keeps it so.
 */
import { ENOUGH, abortReason, MusterError, type Action, type Clock } from '@muster/core'
import type { JobStore } from '@muster/job-manager'

/** The longest delay of a timer: in effect "until it rings". */
const FOREVER_MS = 2 ** 31 - 1

/** The subscription to one job's events. Close it. */
export class JobChanges {
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined
  readonly #stop = new AbortController()
  readonly #listening: Promise<void>
  #rung = false
  #failure: Error | undefined
  #wake: (() => void) | undefined

  /** Rings for every event, or for these `actions` only. Subscribes from the job's first event, so that nothing lies between the subscription and the caller's first read. */
  constructor(store: JobStore, clock: Clock, jobId: string, signal?: AbortSignal, actions?: readonly Action[]) {
    this.#clock = clock
    this.#signal = signal
    this.#listening = this.#listen(store, jobId, actions)
  }

  /** Resolves with true when something was recorded since the last call, with false after `ms`. Rejects when aborted. */
  async next(ms = FOREVER_MS): Promise<boolean> {
    if (this.#signal?.aborted) throw abortReason(this.#signal)
    if (!this.#rung) await this.#pause(ms)
    if (this.#signal?.aborted) throw abortReason(this.#signal)
    const rung = this.#rung
    this.#rung = false
    if (rung && this.#failure) throw this.#failure
    return rung
  }

  /** Ends the subscription. */
  async close(): Promise<void> {
    this.#stop.abort(ENOUGH)
    await this.#listening
  }

  async #listen(store: JobStore, jobId: string, actions: readonly Action[] | undefined): Promise<void> {
    try {
      const some = actions === undefined ? {} : { actions }
      for await (const event of store.watch({ jobId, after: 0, signal: this.#stop.signal, ...some }))
        if (event.jobId === jobId) this.#ring()
      this.#failure = new MusterError('STORE_CLOSED', 'the record was closed while the job was being watched')
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
    }
    this.#ring()
  }

  #ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Sleeps until rung, aborted or `ms` have passed. The timer is the one thing that keeps the process alive meanwhile. */
  async #pause(ms: number): Promise<void> {
    const woken = new AbortController()
    const wake = (): void => {
      woken.abort(ENOUGH)
    }
    this.#wake = wake
    this.#signal?.addEventListener('abort', wake, { once: true })
    try {
      await this.#clock.sleep(ms, { signal: woken.signal })
    } catch (error) {
      if (!woken.signal.aborted) throw error
    } finally {
      this.#wake = undefined
      this.#signal?.removeEventListener('abort', wake)
    }
  }
}
