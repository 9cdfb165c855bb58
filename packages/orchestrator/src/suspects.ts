/**
 * Messages that may kill whoever handles them. A crash counts against all that the process held, so a message that kills its holder each
 * time would drag its neighbours along until they are dead letters, too. One whose holder vanished twice is a suspect, and of
 * suspects only one is handled at a time, in all consumers of an orchestrator: after two crashes no message is beside a killer again.
 *
 * The first look is short, since most suspects merely lay beside a killer, or in a process that was killed twice for good reasons; one
 * crash before its last it is alone for as long as it takes. The rule is made for the default of five crashes.
 */
import type { Clock } from '@muster/core'

/** From this many crashes on a message is a suspect. */
export const SUSPECT_CRASHES = 2
const ALONE_MS: readonly number[] = [10_000, 60_000]

/** The gate that suspects pass one by one. */
export class Suspects {
  readonly #clock: Clock
  #current: object | undefined
  #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lets a suspect in, if no other is. It leaves by itself when it has been alone for long enough. */
  enter(suspect: object, crashes: number): boolean {
    if (this.#current !== undefined) return false
    this.#current = suspect
    const aloneMs = ALONE_MS[crashes - SUSPECT_CRASHES]
    if (aloneMs !== undefined) this.#clock.after(aloneMs, () => this.leave(suspect))
    return true
  }

  /** It has ended, or is taken for harmless. */
  leave(suspect: object): void {
    if (this.#current !== suspect) return
    this.#current = undefined
    for (const call of this.#waiting.splice(0)) call()
  }

  /** Calls back once when none is in; at once where that is so. */
  whenFree(call: () => void): void {
    if (this.#current === undefined) call()
    else this.#waiting.push(call)
  }
}
