/** Removes what is done with from a machine, many in one round trip: whatever gathers while one removal runs goes with the next. */
import type { AttemptKey } from '../launch/launcher.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'

/** See the file's head. What a crash leaves behind is found by the next adoption's list. */
export class Remover {
  readonly #desk: Desk
  readonly #machine: ManagedMachine
  #waiting: AttemptKey[] = []
  #running = false

  constructor(desk: Desk, machine: ManagedMachine) {
    this.#desk = desk
    this.#machine = machine
  }

  /** Removes an attempt's directory soon. */
  add(key: AttemptKey): void {
    this.#waiting.push(key)
    if (this.#running) return
    this.#running = true
    this.#desk.tasks.run(() => this.#drain())
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const keys = this.#waiting
        this.#waiting = []
        await this.#machine.launcher.remove(keys, this.#desk.over)
      }
    } finally {
      this.#running = false
    }
  }
}
