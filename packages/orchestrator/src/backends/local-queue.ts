/**
 * One queue in memory, as a state machine: every method runs to its end in one turn, so each is atomic.
 *
 * Invariant: a receipt counts only if it is the very object that its message holds as `lease`. The backend calls `advance` before
 * any other method, so that what the clock says has happened before anybody looks, however late the timer is.
 */
import type { Clock } from '@muster/core'
import type {
  CleanRequest,
  DeadPage,
  DeadReason,
  ExtendOutcome,
  QueueCounts,
  QueueSettings,
  RawDelivery,
  Receipt,
  SettleOutcome,
  Settlement,
} from '../backend.js'
import { LocalDelivery, bodyBytes, bodySize } from './local-delivery.js'
import { Lease, Places, type Message } from './local-places.js'

/** A receiver that waits. `hand` is called at most once, with at least one delivery. */
export interface Waiter {
  readonly max: number
  readonly leaseMs: number
  hand(deliveries: RawDelivery[]): void
}

/** A message on its way in. */
export interface NewMessage {
  readonly id: string
  /** Whether the id was made for it. */
  readonly born: boolean
  /** What was published as text, or the bytes as a string of one character each. */
  readonly body: string
  readonly text: boolean
  readonly priority: number
  readonly delayMs: number
}

// setTimeout fires at once beyond 2^31 ms: a far deadline is reached in several steps.
const LONGEST_TIMER_MS = 2 ** 30

/** The queue. */
export class LocalQueue {
  /** Those who wait, in the order they came. */
  readonly waiters = new Set<Waiter>()
  settings: QueueSettings
  declared = false
  readonly #name: string
  readonly #clock: Clock
  readonly #onGone: (bodyBytes: number) => void
  readonly #places = new Places()
  #paused = false
  #seq = 0
  #deaths = 0
  #timer: { readonly at: number; readonly cancel: () => void } | undefined

  /** `onGone` hears of each message that leaves the queue for good. */
  constructor(name: string, settings: QueueSettings, clock: Clock, onGone: (bodyBytes: number) => void) {
    this.#name = name
    this.settings = settings
    this.#clock = clock
    this.#onGone = onGone
  }

  /** Whether forgetting the queue would lose nothing. */
  get idle(): boolean {
    return this.#places.size === 0 && this.waiters.size === 0 && !this.declared && !this.#paused
  }

  /** Whether a limited queue takes no more. */
  get full(): boolean {
    const { ready, delayed } = this.#places
    return this.settings.limit !== null && ready.size + delayed.size >= this.settings.limit
  }

  /** Whether a message of that id is present, dead ones included. */
  has(id: string): boolean {
    return this.#places.get(id) !== undefined
  }

  /** Does what is due: delayed messages join the line, expired leases count as crashes. */
  advance(): void {
    const { delayed, leased } = this.#places
    const now = this.#clock.monotonic()
    for (let next = delayed.peek(); next && next.key <= now; next = delayed.peek()) this.#join(next, now)
    for (let next = leased.peek(); next && next.key <= now; next = leased.peek()) this.#crash(next)
    this.serve()
  }

  /** Takes a message in. */
  add(
    { id, born, body, text, priority, delayMs }: NewMessage,
    { publishedAt, now }: { readonly publishedAt: number; readonly now: number },
  ): void {
    // Spelt out, not spread: all messages have one shape, which makes this path fast.
    const message: Message = {
      id,
      body,
      text,
      priority,
      publishedAt,
      place: undefined,
      tries: 0,
      crashes: 0,
      lease: undefined,
      death: undefined,
      since: 0,
      key: 0,
      seq: 0,
      index: -1,
      before: undefined,
      after: undefined,
    }
    this.#places.meet(message, born)
    this.#enter(message, delayMs, now)
  }

  /** Hands out at most `max`, in order. */
  take(max: number, leaseMs: number): RawDelivery[] {
    const deliveries: RawDelivery[] = []
    const until = this.#clock.monotonic() + leaseMs
    while (!this.#paused && deliveries.length < max) {
      const message = this.#places.ready.peek()
      if (message === undefined) break
      deliveries.push(this.#lease(message, until))
    }
    if (deliveries.length > 0) this.#watch(until)
    return deliveries
  }

  /** Ends a delivery, if the receipt is the current one. */
  settle(settlement: Settlement): SettleOutcome {
    const message = this.#held(settlement.receipt)
    if (typeof message === 'string') return message
    if (message.lease) message.lease.settled = true
    message.lease = undefined
    switch (settlement.as) {
      case 'ack':
        this.#forget(message)
        return 'settled'
      case 'release':
        this.#places.move(message, 'ready')
        return 'settled'
      case 'retry':
        return this.#retry(message, settlement.delayMs, settlement.reason ?? '')
      case 'dead':
        return this.#bury(message, 'rejected', settlement.reason)
    }
  }

  /** Moves the end of a lease, if the receipt is the current one. */
  extend(receipt: Receipt, leaseMs: number): ExtendOutcome {
    const message = this.#held(receipt)
    if (typeof message === 'string') return message
    const until = this.#clock.monotonic() + leaseMs
    this.#places.move(message, 'leased', until)
    this.#watch(until)
    return 'extended'
  }

  /** Gives what is ready to those who wait, first come first served; called after whatever may have made some ready. */
  serve(): void {
    for (const waiter of this.waiters) {
      if (this.#paused || this.#places.ready.size === 0) return
      waiter.hand(this.take(waiter.max, waiter.leaseMs))
    }
  }

  /** Holds back what waits, or hands it out again. */
  pause(paused: boolean): void {
    this.#paused = paused
    this.serve()
  }

  /** How many are where. */
  counts(): QueueCounts {
    const { ready, delayed, leased, dead } = this.#places
    const since = ready.oldestSince()
    const oldestMs = since === undefined ? null : this.#clock.monotonic() - since
    return {
      ready: ready.size,
      delayed: delayed.size,
      leased: leased.size,
      dead: dead.size,
      oldestMs,
      paused: this.#paused,
    }
  }

  /** A page of dead letters. Walks over those before it: reading is rare, dying is not. */
  browseDead(limit: number, after: number): DeadPage {
    const letters = []
    let last = after
    for (const message of this.#places.dead.values()) {
      const { death, id, priority, tries, crashes, publishedAt } = message
      if (!death || death.seq <= after) continue
      if (letters.length === limit) return { letters, cursor: String(last) }
      const { seq, ...how } = death
      letters.push({ id, body: bodyBytes(message), priority, tries, crashes, publishedAt, ...how })
      last = seq
    }
    return { letters }
  }

  /** Puts dead letters back in line, oldest death first. */
  redrive(which: { limit?: number; ids?: readonly string[] }): number {
    const chosen = this.#places.select({ ...which, state: 'dead' }, this.#clock.now())
    const now = this.#clock.monotonic()
    for (const message of chosen) {
      message.death = undefined
      message.tries = message.crashes = 0
      this.#join(message, now)
    }
    this.serve()
    return chosen.length
  }

  /** Removes messages that are not leased. */
  clean(which: CleanRequest): number {
    const chosen = this.#places.select(which, this.#clock.now())
    for (const message of chosen) this.#forget(message)
    return chosen.length
  }

  /** Stops the timer: the queue is not used any more. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #enter(message: Message, delayMs: number, now: number): void {
    if (delayMs === 0) return this.#join(message, now)
    const due = now + delayMs
    message.seq = ++this.#seq
    this.#places.move(message, 'delayed', due)
    this.#watch(due)
  }

  #join(message: Message, now: number): void {
    message.seq = ++this.#seq
    message.since = now
    this.#places.move(message, 'ready')
  }

  #lease(message: Message, until: number): RawDelivery {
    const receipt = (message.lease = new Lease(this.#name, this.#places, message))
    this.#places.move(message, 'leased', until)
    return new LocalDelivery(message, until, receipt)
  }

  #held(receipt: Receipt): Message | 'already-settled' | 'lease-lost' {
    if (!(receipt instanceof Lease)) return 'lease-lost'
    // Of another backend, or of this queue before it was forgotten: not held here, whatever it says of itself.
    if (receipt.places === this.#places && receipt.message.lease === receipt) return receipt.message
    return receipt.settled ? 'already-settled' : 'lease-lost'
  }

  #retry(message: Message, delayMs: number, reason: string): SettleOutcome {
    message.tries++
    if (message.tries >= this.settings.maxTries) return this.#bury(message, 'max-tries', reason)
    this.#enter(message, delayMs, this.#clock.monotonic())
    return 'settled'
  }

  #crash(message: Message): void {
    message.lease = undefined
    message.crashes++
    if (message.crashes < this.settings.maxCrashes) this.#places.move(message, 'ready')
    else this.#bury(message, 'max-crashes', '')
  }

  #bury(message: Message, reason: DeadReason, detail: string): 'dead' {
    message.death = { seq: ++this.#deaths, reason, detail, diedAt: this.#clock.now() }
    this.#places.move(message, 'dead')
    return 'dead'
  }

  #forget(message: Message): void {
    this.#onGone(bodySize(message))
    this.#places.forget(message)
  }

  /** Sees to it that a timer fires by `deadline`. One that fires too soon looks again; none is ever put off. */
  #watch(deadline: number): void {
    if (this.#timer && this.#timer.at <= deadline) return
    this.#timer?.cancel()
    const delay = Math.min(Math.max(Math.ceil(deadline - this.#clock.monotonic()), 0), LONGEST_TIMER_MS)
    this.#timer = { at: deadline, cancel: this.#clock.after(delay, () => this.#wake()) }
  }

  #wake(): void {
    this.#timer = undefined
    this.advance()
    const next = this.#places.nextDeadline()
    if (next !== Infinity) this.#watch(next)
  }
}
