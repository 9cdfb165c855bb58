/**
 * Settling and extending, our side of it: a batch that spans queues becomes a few calls. Invariant: every receipt gets one outcome, and of two
 * settlements of one receipt the second waits for the first.
 */
import { isMusterError } from '@muster/core'
import type { ExtendOutcome, Extension, RawDelivery, SettleOutcome, Settlement } from '../../backend.js'
import type { Desk } from './desk.js'
import { pack, type Packable } from './pack.js'
import { extended, type Hold, type Ledger } from './receipts.js'
import { ACK, EXTEND, SETTLE, settleOutcomes } from './settle.js'

/** The most messages of one call. */
const MAX_BATCH = 1_000

interface Item {
  readonly settlement: Settlement
  readonly hold: Hold
  readonly index: number
}

/** What a settler stands on. */
export interface SettlerDeps {
  readonly desk: Desk
  readonly ledger: Ledger
  /** A process that held a suspect may take another one. */
  readonly onSuspectGone: (queue: string) => void
}

/** The settler of one backend. */
export class Settler {
  readonly #deps: SettlerDeps

  constructor(deps: SettlerDeps) {
    this.#deps = deps
  }

  /** Ends deliveries. The batch has been checked. */
  async settle(batch: readonly Settlement[]): Promise<SettleOutcome[]> {
    const outcomes: SettleOutcome[] = Array.from({ length: batch.length }, () => 'lease-lost')
    const later: Item[] = []
    const groups = new Map<string, Item[]>()
    batch.forEach((settlement, index) => {
      const hold = this.#deps.ledger.find(settlement.receipt)
      if (hold === undefined) return
      if (hold.spent) return void (outcomes[index] = 'already-settled')
      const item = { settlement, hold, index }
      if (hold.settling) return void later.push(item)
      // Set at once, so that the same receipt further on in the batch is seen.
      hold.settling = PENDING
      addTo(groups, `${settlement.as === 'ack' ? 'a' : 's'}${hold.queue}`, item)
    })
    const calls = [...groups.values()]
      .flatMap((items) => parts(items, MAX_BATCH))
      .map((part) => this.#send(part, outcomes))
    await Promise.all(calls)
    for (const { settlement, hold, index } of later) {
      await hold.settling
      const [outcome = 'lease-lost'] = await this.settle([settlement])
      outcomes[index] = outcome
    }
    return outcomes
  }

  /** Moves the end of leases. The batch has been checked. */
  async extend(batch: readonly Extension[]): Promise<ExtendOutcome[]> {
    const { desk, ledger } = this.#deps
    const outcomes: ExtendOutcome[] = Array.from({ length: batch.length }, () => 'lease-lost')
    const groups = new Map<string, { readonly extension: Extension; readonly hold: Hold; readonly index: number }[]>()
    batch.forEach((extension, index) => {
      const hold = ledger.find(extension.receipt)
      if (hold?.spent) outcomes[index] = 'already-settled'
      else if (hold) addTo(groups, hold.queue, { extension, hold, index })
    })
    const calls = [...groups.values()]
      .flatMap((items) => parts(items, MAX_BATCH))
      .map(async (part) => {
        const began = desk.clock.monotonic()
        const list = part.flatMap(({ extension, hold }) => [hold.fence, hold.id, String(extension.leaseMs)])
        const keys = desk.keys(part[0]?.hold.queue ?? '')
        const answer = await orUnconfirmed(desk.link.run(EXTEND, keys, () => [pack(list)]))
        part.forEach(({ extension, hold, index }, n) => {
          const outcome = answer === undefined ? 'unconfirmed' : extended(answer[n], hold, ledger)
          if (outcome === 'extended') hold.leaseUntil = began + extension.leaseMs
          outcomes[index] = outcome
        })
      })
    await Promise.all(calls)
    return outcomes
  }

  /** Gives deliveries back uncounted. */
  async giveBack(deliveries: readonly RawDelivery[]): Promise<void> {
    await this.settle(deliveries.map(({ receipt }) => ({ as: 'release', receipt })))
  }

  async #send(items: readonly Item[], outcomes: SettleOutcome[]): Promise<void> {
    const [first] = items
    if (first === undefined) return
    const { desk, ledger, onSuspectGone } = this.#deps
    const ack = first.settlement.as === 'ack'
    // The script answers in the order in which it was told, which is by fence.
    const told = ack ? byFence(items) : items
    const calling = orUnconfirmed(
      desk.once(ack ? ACK : SETTLE, desk.keys(first.hold.queue), [
        pack(ack ? acknowledgements(told) : settlements(told)),
      ]),
    )
    const answered = calling.then((answer) =>
      answer === undefined
        ? told.map((): SettleOutcome => 'unconfirmed')
        : settleOutcomes(answer, told.length).map((outcome, n) =>
            outcome === 'lease-lost' ? ledger.lost(told[n]?.hold ?? first.hold) : outcome,
          ),
    )
    const over = answered.then(nothing, nothing)
    for (const { hold } of told) hold.settling = over
    try {
      const all = await answered
      let gone = false
      told.forEach(({ hold, index }, n) => {
        const outcome = all[n] ?? 'unconfirmed'
        outcomes[index] = outcome
        gone = ledger.settled(hold, outcome) || gone
      })
      if (gone) onSuspectGone(first.hold.queue)
    } finally {
      for (const { hold } of told) hold.settling = undefined
    }
  }
}

const nothing = (): void => undefined
const PENDING = Promise.resolve()

/** The answer; undefined where it was lost and asking again did not help. Other errors are the caller's. */
async function orUnconfirmed(answer: Promise<unknown>): Promise<string | undefined> {
  try {
    return String(await answer)
  } catch (error) {
    if (isMusterError(error) && error.details['unconfirmed'] === true) return undefined
    throw error
  }
}

function byFence(items: readonly Item[]): readonly Item[] {
  const groups = new Map<string, Item[]>()
  for (const item of items) addTo(groups, item.hold.fence, item)
  return groups.size === 1 ? items : [...groups.values()].flat()
}

/** `fence, ids, fence, ids, …` of items that stand by fence. */
function acknowledgements(items: readonly Item[]): Packable[] {
  const list: Packable[] = []
  let ids: string[] = []
  let fence: string | undefined
  for (const { hold } of items) {
    if (hold.fence !== fence) list.push((fence = hold.fence), (ids = []))
    ids.push(hold.id)
  }
  return list
}

function settlements(items: readonly Item[]): Packable[] {
  return items.flatMap(({ hold, settlement }) => [
    hold.fence,
    hold.id,
    settlement.as,
    settlement.as === 'retry' ? String(settlement.delayMs) : '0',
    (settlement.as === 'release' || settlement.as === 'ack' ? undefined : settlement.reason) ?? '',
  ])
}

function addTo<T>(groups: Map<string, T[]>, key: string, item: T): void {
  const group = groups.get(key)
  if (group) group.push(item)
  else groups.set(key, [item])
}

function parts<T>(items: readonly T[], size: number): (readonly T[])[] {
  if (items.length <= size) return [items]
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size))
}
