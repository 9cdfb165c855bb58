/**
 * Settling and extending, our side of it: a batch that spans queues becomes a few calls. Invariant: every receipt gets one outcome, and of two
 * settlements of one receipt the second waits for the first.
 */
import { isMusterError } from '@muster/core'
import type { ExtendOutcome, Extension, RawDelivery, SettleOutcome, Settlement } from '../../backend.js'
import type { Desk } from './desk.js'
import { pack, type Packable } from './pack.js'
import { extended, type Hold, type Ledger } from './receipts.js'
import { ACK, EXTEND, SETTLE, settleOutcome } from './settle.js'

/** The most messages of one call. */
const MAX_BATCH = 1_000

/** What one call settles: parallel lists, `indexes` being those of the batch. */
interface Group {
  readonly holds: Hold[]
  readonly settlements: Settlement[]
  readonly indexes: number[]
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
    const again: number[] = []
    const groups = new Map<string, Group>()
    const calls: Promise<void>[] = []
    batch.forEach((settlement, index) => {
      const hold = this.#deps.ledger.find(settlement.receipt)
      if (hold === undefined) return
      if (hold.spent) return void (outcomes[index] = 'already-settled')
      if (hold.settling) return void again.push(index)
      // Set at once, so that the same receipt further on in the batch is seen.
      hold.settling = PENDING
      const key = settlement.as === 'ack' ? `a${hold.queue}` : `s${hold.queue}`
      let group = groups.get(key)
      if (group === undefined) groups.set(key, (group = { holds: [], settlements: [], indexes: [] }))
      group.holds.push(hold)
      group.settlements.push(settlement)
      group.indexes.push(index)
      if (group.holds.length < MAX_BATCH) return
      calls.push(this.#send(group, outcomes))
      groups.delete(key)
    })
    for (const group of groups.values()) calls.push(this.#send(group, outcomes))
    await Promise.all(calls)
    for (const index of again) outcomes[index] = await this.#settleAfter(batch[index])
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
        const answer = await orUnconfirmed(desk.server.run(EXTEND, keys, () => [pack(list)]))
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

  /** Settles one whose receipt another settlement was under way for. */
  async #settleAfter(settlement: Settlement | undefined): Promise<SettleOutcome> {
    if (settlement === undefined) return 'lease-lost'
    await this.#deps.ledger.find(settlement.receipt)?.settling
    const [outcome = 'lease-lost'] = await this.settle([settlement])
    return outcome
  }

  async #send({ holds, settlements, indexes }: Group, outcomes: SettleOutcome[]): Promise<void> {
    const { desk, ledger, onSuspectGone } = this.#deps
    const queue = holds[0]?.queue ?? ''
    const ack = settlements[0]?.as === 'ack'
    const order = ack ? byFence(holds) : undefined
    const told = order
      ? acknowledgements(order.map((n) => holds[n]))
      : ack
        ? acknowledgements(holds)
        : others(holds, settlements)
    const calling = orUnconfirmed(desk.once(ack ? ACK : SETTLE, desk.keys(queue), [pack(told)]))
    const over = calling.then(nothing, nothing)
    for (const hold of holds) hold.settling = over
    try {
      const answer = await calling
      let gone = false
      holds.forEach((_, n) => {
        const at = order?.[n] ?? n
        const hold = holds[at]
        if (hold === undefined) return
        const outcome = answer === undefined ? 'unconfirmed' : settleOutcome(answer, n)
        outcomes[indexes[at] ?? 0] = outcome === 'lease-lost' ? ledger.lost(hold) : outcome
        if (ledger.settled(hold, outcome)) gone = true
      })
      if (gone) onSuspectGone(queue)
    } finally {
      for (const hold of holds) hold.settling = undefined
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

/** The order in which holds stand by fence; undefined where they do already. The script answers in the order in which it is told. */
function byFence(holds: readonly Hold[]): number[] | undefined {
  const groups = new Map<string, number[]>()
  let [changes, last] = [0, '']
  holds.forEach(({ fence }, index) => {
    if (fence !== last) changes++
    last = fence
    addTo(groups, fence, index)
  })
  return changes === groups.size ? undefined : [...groups.values()].flat()
}

/** `fence, ids, fence, ids, …` of holds that stand by fence. */
function acknowledgements(holds: readonly (Hold | undefined)[]): Packable[] {
  const list: Packable[] = []
  let ids: string[] = []
  let fence: string | undefined
  for (const hold of holds) {
    if (hold === undefined) continue
    if (hold.fence !== fence) list.push((fence = hold.fence), (ids = []))
    ids.push(hold.id)
  }
  return list
}

function others(holds: readonly Hold[], settlements: readonly Settlement[]): Packable[] {
  return settlements.flatMap((settlement, index) => {
    const { fence = '', id = '' } = holds[index] ?? {}
    const delay = settlement.as === 'retry' ? String(settlement.delayMs) : '0'
    const reason = settlement.as === 'retry' || settlement.as === 'dead' ? settlement.reason : undefined
    return [fence, id, settlement.as, delay, reason ?? '']
  })
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
