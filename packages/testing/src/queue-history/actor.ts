/**
 * One actor of a history: random operations from a seed on a queue that it shares with others, while it, the network and the server
 * fail. Invariant: it knows what each of its receipts may still do, and writes down every answer that must not be.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { QueueBackend, RawDelivery, Settlement } from '@muster/orchestrator'
import { seeded } from '../queue-backend/work.js'
import { hostNow, type Journal } from './journal.js'

/** What an actor does. */
export interface Part {
  readonly queue: string
  /** Names its messages and deliveries; a new one for each life. */
  readonly name: string
  readonly seed: number
  readonly priorities: boolean
}

/** How many deliveries an actor holds at most. */
export const MOST_HELD = 12
/** How many messages it publishes at once at most. */
export const MOST_PUBLISHED = 5
const LONGEST_PAUSE_MS = 30
/** The longest lease that it asks for. */
export const LONGEST_LEASE_MS = 1_200

interface Holding {
  readonly delivery: RawDelivery
  readonly name: string
  /** When the lease ends at the earliest, and when at the latest: a server counts from some moment between question and answer. */
  until: number
  latest: number
  /** The first settlement was answered, or may have happened. */
  spent: boolean
}

/** See the file's head. */
export class Actor {
  readonly #backend: QueueBackend
  readonly #part: Part
  readonly #journal: Journal
  readonly #random: () => number
  readonly #held: Holding[] = []
  readonly #old: Holding[] = []
  #count = 0

  constructor(backend: QueueBackend, part: Part, journal: Journal) {
    this.#backend = backend
    this.#part = part
    this.#journal = journal
    this.#random = seeded(part.seed)
  }

  /** Acts until `stop`; `done` hears of every operation that was answered. */
  async act(done: () => void, stop: AbortSignal): Promise<void> {
    const steps = [
      ...Array<() => Promise<void>>(4).fill(() => this.#publish()),
      ...Array<() => Promise<void>>(5).fill(() => this.#receive()),
      ...Array<() => Promise<void>>(8).fill(() => this.#settle()),
      () => this.#settleOld(),
      () => this.#extend(),
      async () => this.#forget(),
    ]
    while (!stop.aborted) {
      const step = steps[this.#int(0, steps.length - 1)]
      try {
        await step?.()
        done()
        // As long as faults last, too: a history that is over before a killed actor is replaced shows little.
        await sleep(this.#int(0, LONGEST_PAUSE_MS))
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'BACKEND_UNAVAILABLE')) throw error
        await sleep(20)
      }
    }
  }

  async #publish(): Promise<void> {
    const { name, queue, priorities } = this.#part
    const batch = Array.from({ length: this.#int(1, MOST_PUBLISHED) }, () => ({
      id: `${name}.${++this.#count}`,
      body: new Uint8Array(this.#int(0, 60)),
      delayMs: this.#random() < 0.3 ? this.#int(1, 60) : 0,
      priority: priorities ? this.#int(0, 9) : 5,
    }))
    const delays = batch.map(({ delayMs }) => delayMs)
    this.#journal.write({ is: 'publishing', ids: batch.map(({ id }) => id), delays, at: hostNow() })
    const outcomes = await this.#backend.publish(queue, batch)
    const ids = outcomes.filter(({ status }) => status === 'accepted').map(({ id }) => id)
    this.#journal.write({ is: 'accepted', ids, at: hostNow() })
    for (const { status, id } of outcomes) if (status === 'duplicate') this.#wrong(`${id} is new, yet a duplicate`)
  }

  async #receive(): Promise<void> {
    const room = MOST_HELD - this.#held.length
    if (room <= 0) return
    const { queue, name } = this.#part
    const [max, leaseMs] = [Math.min(room, this.#int(1, 6)), this.#int(100, LONGEST_LEASE_MS)]
    const deliveries = await this.#backend.receive({ queue, max, leaseMs, waitMs: this.#int(0, 30) })
    const [at, here] = [hostNow(), performance.now()]
    if (deliveries.length > max) this.#wrong(`${deliveries.length} deliveries, though at most ${max} were asked for`)
    for (const delivery of deliveries) {
      const { id, tries, crashes, leaseUntil } = delivery
      const until = at + leaseUntil - here
      const holding = { delivery, until, name: `${name}/${++this.#count}`, latest: at + leaseMs, spent: false }
      this.#journal.write({ is: 'received', delivery: holding.name, id, tries, crashes, at, until })
      this.#held.push(holding)
    }
  }

  async #settle(): Promise<void> {
    const holding = this.#draw(this.#held)
    if (holding === undefined) return
    const { receipt } = holding.delivery
    const ways: Settlement[] = [
      ...Array<Settlement>(5).fill({ as: 'ack', receipt }),
      { as: 'release', receipt },
      { as: 'retry', delayMs: this.#int(0, 40), receipt },
      { as: 'dead', reason: 'chance', receipt },
    ]
    await this.#answer(holding, ways[this.#int(0, ways.length - 1)] ?? { as: 'ack', receipt })
  }

  /** Once more with a receipt that can do nothing any more. */
  async #settleOld(): Promise<void> {
    const holding = this.#old[this.#int(0, this.#old.length - 1)]
    if (holding === undefined || (!holding.spent && hostNow() <= holding.latest)) return
    const [outcome] = await this.#backend.settle([{ as: 'ack', receipt: holding.delivery.receipt }])
    if (outcome === 'settled' || outcome === 'dead')
      this.#wrong(`the old receipt of ${holding.delivery.id} (${holding.name}) answered ${outcome}`)
  }

  async #extend(): Promise<void> {
    const holding = this.#held[this.#int(0, this.#held.length - 1)]
    if (holding === undefined) return
    const { until, latest, name: delivery } = holding
    const leaseMs = this.#int(100, LONGEST_LEASE_MS)
    const at = hostNow()
    const say = (end: number): void => this.#journal.write({ is: 'extended', delivery, at, until: end })
    // Until it is answered, it may be the shorter one as well as the longer.
    say(Math.min(until, at + leaseMs))
    Object.assign(holding, { until: Math.min(until, at + leaseMs), latest: Infinity })
    const [outcome] = await this.#backend.extend([{ receipt: holding.delivery.receipt, leaseMs }])
    if (outcome === 'extended') {
      if (at > latest) this.#wrong(`a lease that had ended was extended: ${delivery}`)
      Object.assign(holding, { until: at + leaseMs, latest: hostNow() + leaseMs })
      say(holding.until)
    } else if (outcome !== 'unconfirmed') holding.latest = latest
  }

  /** What is never settled comes back by its lease; its receipt is tried again later. */
  #forget(): void {
    const holding = this.#draw(this.#held)
    if (holding) this.#remember(holding)
  }

  async #answer(holding: Holding, how: Settlement): Promise<void> {
    const { id } = holding.delivery
    const named = { delivery: holding.name, id, as: how.as }
    const lapsed = hostNow() > holding.latest
    const delay = how.as === 'retry' ? { delayMs: how.delayMs } : {}
    this.#journal.write({ is: 'settling', ...named, ...delay, at: hostNow() })
    holding.spent = true
    this.#remember(holding)
    const [outcome] = await this.#backend.settle([how])
    if (outcome === undefined) return this.#wrong('a settlement was not answered')
    if (lapsed && outcome !== 'lease-lost' && outcome !== 'already-settled')
      this.#wrong(`${how.as} of ${id} after its lease answered ${outcome}`)
    this.#journal.write({ is: 'settled', ...named, outcome, at: hostNow() })
  }

  #remember(holding: Holding): void {
    this.#old.push(holding)
    if (this.#old.length > 50) this.#old.shift()
  }

  #wrong(what: string): void {
    this.#journal.write({ is: 'wrong', what })
  }

  #int(min: number, max: number): number {
    return min + Math.floor(this.#random() * (max - min + 1))
  }

  #draw<T>(items: T[]): T | undefined {
    return items.splice(this.#int(0, items.length - 1), 1)[0]
  }
}
