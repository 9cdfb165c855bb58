/**
 * What becomes of arrivals before anybody gets them. The server flags a message as redelivered when its holder vanished, and the flag does
 * not count: so the crash is written into a copy, which takes the place of the original, before the message is handed out again.
 *
 * Invariant: a crash is counted once, even if whoever counts it vanishes too.
 */
import type { Clock, Ids } from '@muster/core'
import { open, type Envelope } from './envelope.js'
import type { Arrival } from './intake.js'
import type { Line } from './line.js'
import { crashed, type Mover } from './mover.js'

/** An arrival that may be handed out. */
export interface Fresh {
  readonly arrival: Arrival
  readonly envelope: Envelope
}

/** Sorts arrivals. */
export class Sorter {
  readonly #mover: Mover
  readonly #clock: Clock
  readonly #ids: Ids

  constructor(mover: Mover, clock: Clock, ids: Ids) {
    this.#mover = mover
    this.#clock = clock
    this.#ids = ids
  }

  /** The arrivals for handing out; `done` resolves when the others are in line again with one crash more, or dead. */
  sort(
    line: Line,
    arrivals: readonly Arrival[],
  ): { readonly fresh: readonly Fresh[]; readonly done: Promise<unknown> } {
    const fresh: Fresh[] = []
    const again: Fresh[] = []
    for (const arrival of arrivals) {
      const item = { arrival, envelope: open(arrival.message, () => this.#ids.next()) }
      if (arrival.message.fields.redelivered) again.push(item)
      else fresh.push(item)
    }
    return { fresh, done: again.length === 0 ? Promise.resolve() : this.#count(line, again) }
  }

  /** Puts arrivals back as they came. The server has no such step either: returned to it they would look like crashed ones. */
  async giveBack(line: Line, items: readonly Fresh[]): Promise<void> {
    await this.#mover.move(items.map(({ arrival, envelope }) => moveOf(line, arrival, envelope)))
  }

  async #count(line: Line, items: readonly Fresh[]): Promise<void> {
    const now = this.#clock.now()
    await this.#mover.move(items.map(({ arrival, envelope }) => moveOf(line, arrival, crashed(line, envelope, now))))
  }
}

function moveOf(line: Line, { intake, message }: Arrival, envelope: Envelope): Parameters<Mover['move']>[0][number] {
  return { line, intake, tag: message.fields.deliveryTag, content: message.content, envelope }
}
