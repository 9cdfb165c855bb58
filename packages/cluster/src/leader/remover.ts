/**
 * Removes what is done with from a machine, many in one round trip: it is nobody's hurry, and a process on the machine for each would
 * be a tenth of a short job's cost. A call that fails is repeated as long as the machine is attended to; what a crash leaves
 * behind is found by the next adoption's list.
 */
import { isMusterError } from '@muster/core'
import type { AttemptKey } from '../launch/launcher.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import { nameOf } from './tracked.js'

/** After so many refusals something lives that the record believes dead: the next adoption looks again. */
const REFUSALS = 10

/** An attempt whose directory goes, and how often the machine has refused that. */
interface Waiting {
  readonly key: AttemptKey
  readonly refusals: number
}

/** See the file's head. */
export class Remover {
  readonly #desk: Desk
  readonly #machine: ManagedMachine
  #waiting: Waiting[] = []
  #failures = 0
  #closed = false
  #forgetTimer: (() => void) | undefined

  constructor(desk: Desk, machine: ManagedMachine) {
    this.#desk = desk
    this.#machine = machine
  }

  /** Removes an attempt's directory soon. */
  add(key: AttemptKey): void {
    this.#waiting.push({ key, refusals: 0 })
    this.#soon(this.#desk.tuning.removeMs)
  }

  /** Removes what waits, now and for the last time. Also after the leadership's end: what is done with stays done with, whoever leads. */
  async close(): Promise<void> {
    this.#closed = true
    this.#forgetTimer?.()
    await this.#remove()
  }

  #soon(ms: number): void {
    const { clock, tasks } = this.#desk
    if (this.#closed) return
    this.#forgetTimer ??= clock.after(ms, () => {
      this.#forgetTimer = undefined
      tasks.run(() => this.#tryToRemove())
    })
  }

  async #tryToRemove(): Promise<void> {
    const { tuning, logger } = this.#desk
    try {
      await this.#remove()
      this.#failures = 0
    } catch (error) {
      logger.debug({ err: error, machine: this.#machine.name }, 'removing what is done with failed')
      const pauseMs = Math.min(tuning.backoffMs * 2 ** this.#failures++, tuning.backoffMaxMs)
      if (this.#waiting.length > 0) this.#soon(pauseMs)
    }
  }

  async #remove(): Promise<void> {
    const asked = this.#waiting
    this.#waiting = []
    try {
      await this.#machine.launcher.remove(asked.map(({ key }) => key))
    } catch (error) {
      this.#waiting = [...this.#left(asked, error), ...this.#waiting]
      throw error
    }
  }

  /** What is to be asked for again: all of it where nobody knows what was done. */
  #left(asked: readonly Waiting[], error: unknown): readonly Waiting[] {
    if (!isMusterError(error, 'ATTEMPT_RUNNING')) return asked
    const kept = new Set(error.details['kept'] as readonly string[])
    const refused = asked.filter(({ key }) => kept.has(nameOf(key)))
    const given = refused.filter(({ refusals }) => refusals + 1 === REFUSALS).map(({ key }) => nameOf(key))
    if (given.length > 0)
      this.#desk.logger.warn(
        { machine: this.#machine.name, attempts: given, err: error },
        'what is done with stays there',
      )
    return refused
      .filter(({ refusals }) => refusals + 1 < REFUSALS)
      .map(({ key, refusals }) => ({ key, refusals: refusals + 1 }))
  }
}
