/**
 * Deliveries that were received by hand: their users settle and extend them, nobody else does. Invariant: the signal of one fires when
 * its lease has ended unsettled, or when the orchestrator is closed; a timer exists only for those whose signal somebody asked for.
 */
import { MusterError } from '@muster/core'
import type { ExtendOutcome, RawDelivery, Settlement } from './backend.js'
import { decodeChecked } from './body.js'
import { HeldDelivery, type Holder, type SettleSink } from './delivery.js'
import type { Engine } from './engine.js'
import { Ledger } from './ledger.js'
import type { KnownQueue } from './queue-definition.js'
import { pausesOf } from './retry-policy.js'

/** Holds what is received by hand from one queue. */
export class ByHand implements Holder {
  readonly #queue: KnownQueue
  readonly #engine: Engine
  readonly #ledger: Ledger
  readonly #watched: Set<HeldDelivery>

  /** `watched` gathers those whose signal was asked for, of all queues. */
  constructor(queue: KnownQueue, engine: Engine, watched: Set<HeldDelivery>) {
    this.#queue = queue
    this.#engine = engine
    this.#ledger = new Ledger(queue.name, engine)
    this.#watched = watched
  }

  /** The delivery for its user; or that its body is of no use, and the message a dead letter; or that its lease has ended on the way. */
  async open(raw: RawDelivery): Promise<HeldDelivery | 'refused' | 'late'> {
    const held = new HeldDelivery<unknown>(raw, undefined, this, this.#engine.clock.monotonic())
    const checked = await decodeChecked(this.#queue.schema, raw)
    if (checked.refusal !== undefined) {
      this.#ledger.refused(held, checked.refusal)
      await held.dead(checked.refusal)
      return 'refused'
    }
    if (held.leaseUntil <= this.#engine.clock.monotonic()) {
      this.#ledger.lost(held)
      return 'late'
    }
    held.body = checked.value
    this.#ledger.delivered(held)
    return held
  }

  send(held: HeldDelivery, settlement: Settlement, sink: SettleSink): void {
    held.endedAt = this.#engine.clock.monotonic()
    this.#watched.delete(held)
    this.#engine.settler.send(settlement, {
      ended: (outcome, error) => {
        this.#ledger.settled(held, settlement, outcome, error)
        sink.ended(outcome, error)
      },
    })
  }

  async extend(held: HeldDelivery, leaseMs: number): Promise<ExtendOutcome | undefined> {
    const { backend, clock } = this.#engine
    const asked = clock.monotonic()
    const [outcome] = await backend.extend([{ receipt: held.receipt, leaseMs }])
    if (outcome === 'extended') held.heldUntil(asked + leaseMs)
    return outcome
  }

  pauseMs(tries: number): number {
    return pausesOf(this.#queue.retry)(tries, this.#engine.random)
  }

  watch(held: HeldDelivery): void {
    if (held.settled || held.interruption) return
    this.#watched.add(held)
    this.#look(held)
  }

  #look(held: HeldDelivery): void {
    if (held.settled || held.interruption) return
    const leftMs = held.leaseUntil - this.#engine.clock.monotonic()
    if (leftMs > 0) {
      this.#engine.clock.after(Math.ceil(leftMs), () => this.#look(held))
      return
    }
    this.#watched.delete(held)
    this.#ledger.lost(held)
    held.interrupt(new MusterError('LEASE_LOST', `message ${held.id} of queue ${held.queue}: its lease ran out`))
  }
}
