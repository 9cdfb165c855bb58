/**
 * Settlements on their way. What ends in the same turn of the event loop travels as one batch, and no more than two batches travel at
 * once, so that those which end meanwhile gather: the busier the consumers, the fewer the calls. Invariant: every sink hears exactly
 * once how its settlement ended, and nothing here rejects.
 */
import { setImmediate as atEndOfTurn } from 'node:timers'
import { MusterError } from '@muster/core'
import type { QueueBackend, SettleOutcome, Settlement } from './backend.js'
import type { SettleSink } from './delivery.js'

const MOST_BATCHES = 2
const LARGEST_BATCH = 1_000

/** Sends settlements in batches. */
export class Settler {
  readonly #backend: QueueBackend
  #settlements: Settlement[] = []
  #sinks: SettleSink[] = []
  #travelling = 0
  #scheduled = false
  #idle: (() => void)[] = []

  constructor(backend: QueueBackend) {
    this.#backend = backend
  }

  /** Sends one with the others of this turn. */
  send(settlement: Settlement, sink: SettleSink): void {
    this.#settlements.push(settlement)
    this.#sinks.push(sink)
    if (this.#scheduled || this.#travelling >= MOST_BATCHES) return
    this.#scheduled = true
    atEndOfTurn(this.#flush)
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    if (this.#travelling === 0 && this.#settlements.length === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    while (this.#settlements.length > 0 && this.#travelling < MOST_BATCHES) this.#travel()
  }

  #travel(): void {
    const [settlements, sinks] = this.#take()
    this.#travelling++
    this.#ask(settlements).then(
      (outcomes) => this.#arrived(sinks, outcomes, undefined),
      (error: unknown) => this.#arrived(sinks, [], error ?? new MusterError('BACKEND_UNAVAILABLE', 'no answer')),
    )
  }

  #take(): [readonly Settlement[], readonly SettleSink[]] {
    const whole = this.#settlements.length <= LARGEST_BATCH
    const taken: [Settlement[], SettleSink[]] = whole
      ? [this.#settlements, this.#sinks]
      : [this.#settlements.splice(0, LARGEST_BATCH), this.#sinks.splice(0, LARGEST_BATCH)]
    if (whole) [this.#settlements, this.#sinks] = [[], []]
    return taken
  }

  /** A backend may throw where it should reject. */
  async #ask(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    return this.#backend.settle(settlements)
  }

  #arrived(sinks: readonly SettleSink[], outcomes: readonly SettleOutcome[], error: unknown): void {
    this.#travelling--
    for (let index = 0; index < sinks.length; index++) sinks[index]?.ended(outcomes[index], error)
    this.#flush()
    if (this.#travelling === 0 && this.#settlements.length === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }
}
