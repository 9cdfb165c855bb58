/**
 * Removes what is done with from a machine, many in one round trip: it is nobody's hurry, and a process on the machine for each would
 * be a tenth of a short job's cost. What a crash leaves behind is found by the next adoption's list.
 */
import type { AttemptKey } from '../launch/launcher.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'

/** See the file's head. */
export class Remover {
  readonly #desk: Desk
  readonly #machine: ManagedMachine
  #waiting: AttemptKey[] = []
  #forgetTimer: (() => void) | undefined

  constructor(desk: Desk, machine: ManagedMachine) {
    this.#desk = desk
    this.#machine = machine
  }

  /** Removes an attempt's directory soon. */
  add(key: AttemptKey): void {
    const { clock, tuning, tasks } = this.#desk
    this.#waiting.push(key)
    this.#forgetTimer ??= clock.after(tuning.removeMs, () => {
      tasks.run(() => this.flush())
    })
  }

  /** Removes what waits, now. Also after the leadership's end: what is done with stays done with, whoever leads. */
  async flush(): Promise<void> {
    this.#forgetTimer?.()
    this.#forgetTimer = undefined
    const keys = this.#waiting
    this.#waiting = []
    await this.#machine.launcher.remove(keys)
  }
}
