/** A pause between two looks at the record that ends early when the record changes. A change during the look is not lost. */
import { ENOUGH, type Clock } from '@muster/core'
import type { ChangeListener, SqlDriver } from './sql/driver.js'

/** Sleeps until something that matters happened. Remove it when done. */
export class Pause {
  /** Stops listening. */
  readonly remove: () => void
  #changed = false
  #end: (() => void) | undefined

  /** `matters` tells whether a commit is worth a look. */
  constructor(driver: SqlDriver, matters: (...change: Parameters<ChangeListener>) => boolean) {
    this.remove = driver.listen((touched) => {
      if (!matters(touched)) return
      this.#changed = true
      this.#end?.()
    })
  }

  /**
   * Resolves when the record has changed since the last wait, when `ms` have passed, or when the signal fires: the caller looks
   * which. Keeps the process alive only where `keepAlive`.
   */
  async wait(clock: Clock, ms: number, signal: AbortSignal, keepAlive: boolean): Promise<void> {
    if (this.#changed) {
      this.#changed = false
      return
    }
    const enough = new AbortController()
    const end = (): void => {
      enough.abort(ENOUGH)
    }
    if (signal.aborted) end()
    this.#end = end
    signal.addEventListener('abort', end)
    try {
      await clock.sleep(ms, { signal: enough.signal, unref: !keepAlive })
    } catch (error) {
      if (!enough.signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', end)
      this.#end = undefined
      this.#changed = false
    }
  }
}
