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
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(ms, resolve)
        const wake = (): void => {
          cancel()
          resolve()
        }
        this.#waiter = wake
        signal.addEventListener('abort', wake, { once: true })
      })
      this.#waiter = undefined
    }
    this.#rung = false
  }
}
