/**
 * A delivery as users see it, and as its holder keeps it: a body, the verbs that end it, and a signal that says when to stop. Invariant:
 * a verb that resolves has taken effect, one that could not throws the reason, and the signal is made only for those who look at it,
 * since making one for each message would cost more than all the rest.
 */
import { MusterError, type ErrorCode, type JsonValue } from '@muster/core'
import type { ExtendOutcome, RawDelivery, SettleOutcome, Settlement } from './backend.js'
import { checkSettlements } from './checks.js'
import { wholeMs } from './retry-policy.js'

/** A message that was handed out to the holder of this object. */
export interface Delivery<T = JsonValue> {
  readonly id: string
  readonly queue: string
  /** What was published, as the queue's schema gives it. */
  readonly body: T
  /** 0..9, 9 first. */
  readonly priority: number
  /** Retries before this delivery. */
  readonly tries: number
  /** Deliveries before this one whose holder vanished. */
  readonly crashes: number
  /** When it was published, epoch milliseconds. */
  readonly publishedAt: number
  /** Whether one of the verbs that end a delivery was called. */
  readonly settled: boolean
  /**
   * Aborts when work on this message should stop. `reason` is a MusterError: LEASE_LOST (another may have the message), HANDLER_TIMEOUT,
   * DELIVERY_CANCELLED (the consumer's own signal) or CONSUMER_CLOSED (its drain time is over).
   */
  readonly signal: AbortSignal
  /** Handled: removes the message. Throws ALREADY_SETTLED, LEASE_LOST, SETTLE_UNCONFIRMED or BACKEND_UNAVAILABLE, as all verbs here. */
  ack(): Promise<void>
  /** Failed: delivered again after `delayMs` (the queue's retry policy unless given), or a dead letter where that was the last try. */
  retry(options?: { readonly delayMs?: number; readonly reason?: string }): Promise<void>
  /** Not begun: gives the message back, uncounted. */
  release(): Promise<void>
  /** Refused for good: makes the message a dead letter with this reason. */
  dead(reason: string): Promise<void>
  /** Holds the delivery for `leaseMs` from now. `consume` does this by itself. */
  extend(leaseMs: number): Promise<void>
}

/** What the facade itself settles with: nobody awaits the end. */
export const NOBODY: SettleSink = { ended: () => undefined }

/** Hears how a settlement ended: with an outcome, or with the error of a backend that could not be asked. */
export interface SettleSink {
  ended(outcome: SettleOutcome | undefined, error: unknown): void
}

/** Whoever holds deliveries for their users. */
export interface Holder {
  /** Sends a settlement; `sink` hears its end, once. */
  send(held: HeldDelivery, settlement: Settlement, sink: SettleSink): void
  /** Moves the end of the lease. */
  extend(held: HeldDelivery, leaseMs: number): Promise<ExtendOutcome | undefined>
  /** The pause before a retry, by the policy that holds here. */
  pauseMs(tries: number): number
  /** Somebody looks at the signal: from now on it must fire when the lease is lost. */
  watch(held: HeldDelivery): void
}

/** A delivery that is held here. What is not in {@link Delivery} is for its holder. */
export class HeldDelivery<T = unknown> implements Delivery<T> {
  readonly id: string
  readonly queue: string
  /** Set before anybody else sees the delivery. */
  body: T
  readonly priority: number
  readonly tries: number
  readonly crashes: number
  readonly publishedAt: number
  readonly #raw: RawDelivery
  readonly #holder: Holder
  #settled = false
  #abort: AbortController | undefined
  #interruption: MusterError | undefined
  #leaseUntil: number
  /** When it was handed out, monotonic. */
  readonly beganAt: number
  /** When its last settlement was sent, monotonic. */
  endedAt: number
  /** Whether its handler still runs; for the consumer that holds it. */
  handling = true
  /** Whether it goes back although no handler worked on it, or was told to stop. */
  givenBack = false
  /** Whether its lease is known to have ended before it was settled. */
  lost = false
  /** Settlements that were sent and have not ended. */
  pending = 0

  constructor(raw: RawDelivery, body: T, holder: Holder, beganAt: number) {
    this.id = raw.id
    this.queue = raw.receipt.queue
    this.body = body
    this.priority = raw.priority
    this.tries = raw.tries
    this.crashes = raw.crashes
    this.publishedAt = raw.publishedAt
    this.#raw = raw
    this.#holder = holder
    this.#leaseUntil = raw.leaseUntil
    this.beganAt = this.endedAt = beganAt
  }

  get settled(): boolean {
    return this.#settled
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#interruption) this.#abort.abort(this.#interruption)
      this.#holder.watch(this)
    }
    return this.#abort.signal
  }

  get receipt(): RawDelivery['receipt'] {
    return this.#raw.receipt
  }

  /** When the lease ends at the earliest, monotonic. */
  get leaseUntil(): number {
    return this.#leaseUntil
  }

  /** Why work on it should stop; undefined as long as it should not. */
  get interruption(): MusterError | undefined {
    return this.#interruption
  }

  /** The lease was extended. */
  heldUntil(leaseUntil: number): void {
    this.#leaseUntil = leaseUntil
  }

  /** Aborts the signal. The first reason stays. */
  interrupt(reason: MusterError): void {
    if (this.#interruption) return
    this.#interruption = reason
    this.#abort?.abort(reason)
  }

  /** Marks it as settled and sends that, for a holder that settles by itself. */
  settle(settlement: Settlement, sink: SettleSink = NOBODY): void {
    this.#settled = true
    this.pending++
    this.#holder.send(this, settlement, sink)
  }

  ack(): Promise<void> {
    return this.#end({ as: 'ack', receipt: this.receipt })
  }

  retry({ delayMs, reason = '' }: { delayMs?: number; reason?: string } = {}): Promise<void> {
    const pause = delayMs ?? wholeMs(this.#holder.pauseMs(this.tries))
    return this.#end({ as: 'retry', receipt: this.receipt, delayMs: pause, reason })
  }

  release(): Promise<void> {
    return this.#end({ as: 'release', receipt: this.receipt })
  }

  dead(reason: string): Promise<void> {
    return this.#end({ as: 'dead', receipt: this.receipt, reason })
  }

  async extend(leaseMs: number): Promise<void> {
    this.#check(await this.#holder.extend(this, leaseMs))
  }

  async #end(settlement: Settlement): Promise<void> {
    // Before it joins the others of this turn: one wrong delay would be the refusal of all.
    checkSettlements([settlement])
    const outcome = await new Promise<SettleOutcome | undefined>((resolve, reject) => {
      const ended = (outcome: SettleOutcome | undefined, error: unknown): void =>
        error === undefined ? resolve(outcome) : reject(asError(error))
      this.settle(settlement, { ended })
    })
    this.#check(outcome)
  }

  #check(outcome: SettleOutcome | ExtendOutcome | undefined): void {
    if (outcome === 'settled' || outcome === 'dead' || outcome === 'extended') return
    throw new MusterError(
      REFUSALS[outcome ?? 'unconfirmed'],
      `message ${this.id} of queue ${this.queue}: ${outcome ?? 'no answer'}`,
    )
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new MusterError('BACKEND_UNAVAILABLE', String(error))
}

const REFUSALS = {
  'already-settled': 'ALREADY_SETTLED',
  'lease-lost': 'LEASE_LOST',
  unconfirmed: 'SETTLE_UNCONFIRMED',
} as const satisfies Record<string, ErrorCode>
