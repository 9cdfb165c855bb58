/**
 * How deliveries end. Invariant: a delivery is spent the moment it is settled here, before anything is sent; what the server could not
 * confirm is `unconfirmed`, never `settled`.
 */
import type { Clock } from '@muster/core'
import type { ExtendOutcome, Extension, SettleOutcome, Settlement } from '../../backend.js'
import type { Envelope } from './envelope.js'
import type { Held, Holdings } from './held.js'
import type { Intake } from './intake.js'
import { bury, crashed, type Move, type Mover } from './mover.js'

/** Settles and extends for one backend. */
export class Settler {
  readonly #holdings: Holdings
  readonly #mover: Mover
  readonly #clock: Clock

  constructor(holdings: Holdings, mover: Mover, clock: Clock) {
    this.#holdings = holdings
    this.#mover = mover
    this.#clock = clock
  }

  /** Ends deliveries, each answered by index. */
  async settle(batch: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const outcomes = new Array<SettleOutcome>(batch.length)
    const acks = new Map<Intake, { readonly tags: number[]; readonly indexes: number[] }>()
    const moves: { readonly move: Move; readonly index: number }[] = []
    batch.forEach((settlement, index) => {
      const held = this.#holdings.find(settlement.receipt)
      if (typeof held === 'string') outcomes[index] = held
      else {
        this.#holdings.end(held, 'settled')
        if (settlement.as === 'ack') note(acks, held, index)
        else moves.push({ move: this.#moveOf(held, settlement), index })
      }
    })
    const acked = [...acks].map(async ([intake, { tags, indexes }]) => {
      const outcome = (await intake.ack(tags)) ? 'settled' : 'unconfirmed'
      for (const index of indexes) outcomes[index] = outcome
    })
    if (moves.length > 0) await this.#move(moves, outcomes)
    await Promise.all(acked)
    return outcomes
  }

  /** Moves the end of leases: ours alone, since the server knows of none. */
  extend(batch: readonly Extension[]): readonly ExtendOutcome[] {
    return batch.map(({ receipt, leaseMs }) => {
      const held = this.#holdings.find(receipt)
      if (typeof held === 'string') return held
      return this.#holdings.extend(held, leaseMs) ? 'extended' : 'lease-lost'
    })
  }

  /** Deliveries whose leases have ended are in line again with one crash more, or dead. */
  async expired(held: readonly Held[]): Promise<void> {
    const now = this.#clock.now()
    await this.#mover.move(held.map((one) => ({ ...one, envelope: crashed(one.line, one.envelope, now) })))
  }

  async #move(moves: readonly { move: Move; index: number }[], outcomes: SettleOutcome[]): Promise<void> {
    const moved = await this.#mover.move(moves.map(({ move }) => move))
    moves.forEach(({ move, index }, at) => {
      outcomes[index] = !moved[at] ? 'unconfirmed' : move.envelope.death ? 'dead' : 'settled'
    })
  }

  #moveOf(held: Held, settlement: Exclude<Settlement, { as: 'ack' }>): Move {
    const { line, intake, tag, content, envelope } = held
    const now = this.#clock.now()
    const move = (next: Envelope, delayMs = 0): Move => ({ line, intake, tag, content, envelope: next, delayMs })
    switch (settlement.as) {
      case 'release':
        return move(envelope)
      case 'dead':
        return move(bury(envelope, 'rejected', settlement.reason, now))
      case 'retry': {
        const tries = envelope.tries + 1
        const next = { ...envelope, tries }
        if (tries < line.settings.maxTries) return move(next, settlement.delayMs)
        return move(bury(next, 'max-tries', settlement.reason ?? '', now))
      }
    }
  }
}

function note(acks: Map<Intake, { tags: number[]; indexes: number[] }>, { intake, tag }: Held, index: number): void {
  const noted = acks.get(intake)
  if (noted) {
    noted.tags.push(tag)
    noted.indexes.push(index)
  } else acks.set(intake, { tags: [tag], indexes: [index] })
}
