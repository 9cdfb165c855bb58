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

  /** Resolves with true at the next ring, with false after `ms` or when aborted: never rejects. Keeps no process alive. */
  async heard(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted) await this.#wait(clock, ms, signal)
    const rung = this.#rung
    this.#rung = false
    return rung
  }

  async #wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = withResolver()
    this.#waiter = resolve
    const cancel = clock.after(ms, resolve)
    signal.addEventListener('abort', resolve, { once: true })
    await promise
    signal.removeEventListener('abort', resolve)
    cancel()
    this.#waiter = undefined
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}
