/** A bell: many may ring it, one waits for it. A ring while nobody waits is heard by the next wait, so no wake-up is lost. */
import type { Clock } from '@muster/core'

/** See the file's head. */
export class Bell {
  #rung = false
  #waiter: (() => void) | undefined

  /** Wakes the waiter, now or at its next wait. */
  readonly ring = (): void => {
    this.#rung = true
    this.#waiter?.()
  }

  /** Resolves at the next ring, after `ms`, or when aborted: never rejects. Keeps no process alive. */
  async heard(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) await this.#wait(clock, ms, signal)
    this.#rung = false
  }

  async #wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#waiter = resolve))
    const cancel = clock.after(ms, this.ring)
    signal.addEventListener('abort', this.ring, { once: true })
    await woken
    signal.removeEventListener('abort', this.ring)
    cancel()
    this.#waiter = undefined
  }
}
