/**
 * How the deliveries of one consumer are ended: sent with those of all others, written down when the answer is there, and sent again while the
 * backend cannot be reached and the lease still runs, since a message that was handled should not come again for the sake of a
 * restarted server. Invariant: a delivery is finished once, when neither a handler nor a settlement of it is under way.
 */
import { isMusterError, type Clock } from '@muster/core'
import type { SettleOutcome, Settlement } from './backend.js'
import { NOBODY, type HeldDelivery, type SettleSink } from './delivery.js'
import type { Ledger } from './ledger.js'
import type { Settler } from './settler.js'

const AGAIN_MS = 250

/** Ends deliveries. */
export class Settling {
  readonly #settler: Settler
  readonly #clock: Clock
  readonly #ledger: Ledger
  readonly #onFinished: (held: HeldDelivery) => void
  #again: Sent[] = []

  /** `onFinished` hears of each delivery once. */
  constructor(settler: Settler, clock: Clock, ledger: Ledger, onFinished: (held: HeldDelivery) => void) {
    this.#settler = settler
    this.#clock = clock
    this.#ledger = ledger
    this.#onFinished = onFinished
  }

  /** Sends a settlement of a delivery. */
  send(held: HeldDelivery, settlement: Settlement, sink: SettleSink): void {
    held.endedAt = this.#clock.monotonic()
    this.#settler.send(settlement, new Sent(this, held, settlement, sink))
  }

  /** The handler has ended, and had settled before or has nothing left to settle. */
  ended(held: HeldDelivery): void {
    if (!held.handling && held.pending === 0) this.#onFinished(held)
  }

  /** The answer is there. */
  answered(sent: Sent, outcome: SettleOutcome | undefined, error: unknown): void {
    const { held, settlement, sink } = sent
    if (error !== undefined && sink === NOBODY && this.#mayHelp(held, error)) return this.#sendAgain(sent)
    held.pending--
    this.#ledger.settled(held, settlement, outcome, error)
    sink.ended(outcome, error)
    this.ended(held)
  }

  #mayHelp(held: HeldDelivery, error: unknown): boolean {
    return isMusterError(error) && error.retryable && held.leaseUntil > this.#clock.monotonic() + AGAIN_MS
  }

  #sendAgain(sent: Sent): void {
    this.#again.push(sent)
    if (this.#again.length > 1) return
    this.#clock.after(AGAIN_MS, () => {
      const all = this.#again
      this.#again = []
      for (const one of all) this.#settler.send(one.settlement, one)
    })
  }
}

/** A settlement on its way. */
class Sent implements SettleSink {
  readonly held: HeldDelivery
  readonly settlement: Settlement
  readonly sink: SettleSink
  readonly #settling: Settling

  constructor(settling: Settling, held: HeldDelivery, settlement: Settlement, sink: SettleSink) {
    this.#settling = settling
    this.held = held
    this.settlement = settlement
    this.sink = sink
  }

  ended(outcome: SettleOutcome | undefined, error: unknown): void {
    this.#settling.answered(this, outcome, error)
  }
}
