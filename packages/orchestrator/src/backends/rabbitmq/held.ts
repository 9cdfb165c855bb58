/**
 * What is held: deliveries under their leases, and the receipts that prove them. Invariants: a receipt is good only as the very object
 * that came with the delivery, once, and only until the lease ends on the monotonic clock of this process, whether or not a timer has
 * run by then: the server would still take the acknowledgement of a holder that was frozen.
 */
import type { Clock } from '@muster/core'
import type { RawDelivery, Receipt } from '../../backend.js'
import type { Envelope } from './envelope.js'
import type { Arrival, Intake } from './intake.js'
import type { Line } from './line.js'

/** A delivery that is out. */
export interface Held {
  readonly line: Line
  readonly envelope: Envelope
  readonly content: Buffer
  readonly intake: Intake
  readonly tag: number
  readonly takenAt: number
  state: 'held' | 'settled' | 'lost'
  until: number
  slot: number
  /** Told once when it is no longer held, however that came about. */
  onEnd: ((held: Held) => void) | undefined
}

/** The object that proves a delivery. */
class Ticket implements Receipt {
  readonly queue: string
  readonly id: string
  readonly #held: Held

  constructor(held: Held) {
    this.queue = held.line.name
    this.id = held.envelope.id
    this.#held = held
  }

  static held(receipt: Receipt): Held | undefined {
    return #held in receipt ? receipt.#held : undefined
  }
}

/** Deliveries whose leases end within one such span are looked at together, a little late and never early. */
const SPAN_MS = 16

/** All deliveries that one backend holds. */
export class Holdings {
  readonly #clock: Clock
  readonly #maxHoldMs: number
  readonly #onExpired: (held: readonly Held[]) => void
  readonly #slots = new Map<number, Set<Held>>()
  #timer: { readonly slot: number; readonly cancel: () => void } | undefined

  constructor(clock: Clock, maxHoldMs: number, onExpired: (held: readonly Held[]) => void) {
    this.#clock = clock
    this.#maxHoldMs = maxHoldMs
    this.#onExpired = onExpired
  }

  /** Hands an arrival out for `leaseMs`. */
  hand(
    line: Line,
    envelope: Envelope,
    { intake, message }: Arrival,
    leaseMs: number,
    onEnd?: Held['onEnd'],
  ): RawDelivery {
    const takenAt = this.#clock.monotonic()
    const until = takenAt + leaseMs
    const { content } = message
    const tag = message.fields.deliveryTag
    const held: Held = { line, envelope, content, intake, tag, takenAt, until, slot: 0, state: 'held', onEnd }
    this.#place(held)
    intake.watch(tag, () => this.end(held, 'lost'))
    const { id, priority, tries, crashes, publishedAt } = envelope
    const receipt = new Ticket(held)
    // A copy: a retry sends the content again, whatever the holder has done to his.
    return { id, body: Buffer.from(content), priority, tries, crashes, publishedAt, leaseUntil: until, receipt }
  }

  /** What a receipt holds, or why it holds nothing. A lease whose time has come is lost from now on. */
  find(receipt: Receipt): Held | 'already-settled' | 'lease-lost' {
    const held = Ticket.held(receipt)
    if (held === undefined || held.state === 'lost') return 'lease-lost'
    if (held.state === 'settled') return 'already-settled'
    if (this.#clock.monotonic() < held.until) return held
    this.#expire([held])
    return 'lease-lost'
  }

  /** Moves the end of a lease; false where the server would not let the delivery be held for so long. */
  extend(held: Held, leaseMs: number): boolean {
    const until = this.#clock.monotonic() + leaseMs
    if (until > held.takenAt + this.#maxHoldMs) {
      this.#expire([held])
      return false
    }
    this.#slots.get(held.slot)?.delete(held)
    held.until = until
    this.#place(held)
    return true
  }

  /** The delivery is no longer held. */
  end(held: Held, state: 'settled' | 'lost'): void {
    if (held.state !== 'held') return
    held.state = state
    this.#slots.get(held.slot)?.delete(held)
    held.onEnd?.(held)
  }

  /** Stops looking: the backend closes. */
  close(): void {
    this.#timer?.cancel()
    this.#slots.clear()
  }

  #place(held: Held): void {
    const slot = Math.ceil(held.until / SPAN_MS)
    held.slot = slot
    const others = this.#slots.get(slot)
    if (others) others.add(held)
    else this.#slots.set(slot, new Set([held]))
    this.#watch(slot)
  }

  #watch(slot: number): void {
    if (this.#timer && this.#timer.slot <= slot) return
    this.#timer?.cancel()
    const delay = Math.min(Math.max(0, Math.ceil(slot * SPAN_MS - this.#clock.monotonic())), 2 ** 31 - 1)
    this.#timer = { slot, cancel: this.#clock.after(delay, () => this.#wake()) }
  }

  #wake(): void {
    this.#timer = undefined
    const now = this.#clock.monotonic()
    let next = Infinity
    for (const [slot, members] of this.#slots) {
      if (slot * SPAN_MS <= now) {
        this.#slots.delete(slot)
        this.#expire([...members])
      } else if (members.size === 0) this.#slots.delete(slot)
      else next = Math.min(next, slot)
    }
    if (next !== Infinity) this.#watch(next)
  }

  #expire(held: readonly Held[]): void {
    for (const one of held) this.end(one, 'lost')
    if (held.length > 0) this.#onExpired(held)
  }
}
