/**
 * A delivery as users see it: a JSON body and the verbs that end it. Invariant: it is settled at most once from here, and a verb that
 * resolves has taken effect; one that could not throws the reason.
 */
import { backoffMs, MusterError, type ErrorCode, type JsonValue } from '@muster/core'
import type { ExtendOutcome, QueueBackend, RawDelivery, SettleOutcome, Settlement } from './backend.js'

const REFUSALS = {
  'already-settled': 'ALREADY_SETTLED',
  'lease-lost': 'LEASE_LOST',
  unconfirmed: 'SETTLE_UNCONFIRMED',
} as const satisfies Record<string, ErrorCode>

/** A message that was handed out to the holder of this object. */
export class Delivery {
  readonly id: string
  readonly queue: string
  readonly body: JsonValue
  readonly priority: number
  /** Retries before this delivery. */
  readonly tries: number
  /** Deliveries before this one whose holder vanished. */
  readonly crashes: number
  /** When it was published, epoch milliseconds. */
  readonly publishedAt: number
  readonly #raw: RawDelivery
  readonly #backend: QueueBackend
  readonly #random: () => number
  #settled = false

  /** Deliveries come from `receiveMessage` and `consume`. */
  constructor(raw: RawDelivery, body: JsonValue, backend: QueueBackend, random: () => number) {
    this.id = raw.id
    this.queue = raw.receipt.queue
    this.body = body
    this.priority = raw.priority
    this.tries = raw.tries
    this.crashes = raw.crashes
    this.publishedAt = raw.publishedAt
    this.#raw = raw
    this.#backend = backend
    this.#random = random
  }

  /** Whether one of the verbs that end a delivery was called. */
  get settled(): boolean {
    return this.#settled
  }

  /** Handled: removes the message. Throws ALREADY_SETTLED, LEASE_LOST or SETTLE_UNCONFIRMED, as all verbs here. */
  ack(): Promise<void> {
    return this.#settle({ as: 'ack', receipt: this.#raw.receipt })
  }

  /** Failed: delivered again after `delayMs` (5 s x 4^tries up to 5 min, with jitter), or a dead letter where that was the last try. */
  retry(options: { delayMs?: number; reason?: string } = {}): Promise<void> {
    const { delayMs = backoffMs(this.tries, this.#random), reason = '' } = options
    return this.#settle({ as: 'retry', receipt: this.#raw.receipt, delayMs, reason })
  }

  /** Not begun: gives the message back, uncounted. */
  release(): Promise<void> {
    return this.#settle({ as: 'release', receipt: this.#raw.receipt })
  }

  /** Refused for good: makes the message a dead letter with this reason. */
  dead(reason: string): Promise<void> {
    return this.#settle({ as: 'dead', receipt: this.#raw.receipt, reason })
  }

  /** Holds the delivery for `leaseMs` from now. `consume` does this by itself. */
  async extend(leaseMs: number): Promise<void> {
    const [outcome] = await this.#backend.extend([{ receipt: this.#raw.receipt, leaseMs }])
    this.#check(outcome)
  }

  async #settle(settlement: Settlement): Promise<void> {
    this.#settled = true
    const [outcome] = await this.#backend.settle([settlement])
    this.#check(outcome)
  }

  #check(outcome: SettleOutcome | ExtendOutcome | undefined): void {
    if (outcome === 'settled' || outcome === 'dead' || outcome === 'extended') return
    const code = REFUSALS[outcome ?? 'unconfirmed']
    throw new MusterError(code, `message ${this.id} of queue ${this.queue}: ${outcome ?? 'no answer'}`)
  }
}

/** The body of a delivery, or undefined where it is no JSON text. */
export function decodeBody(raw: RawDelivery): { readonly value: JsonValue } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw.body)) as JsonValue }
  } catch {
    return undefined
  }
}

/** A body as bytes. Throws INVALID_ARGUMENT for what JSON cannot say. */
export function encodeBody(body: unknown, what: string): Uint8Array {
  const text = stringify(body, what)
  if (text === undefined)
    throw new MusterError('INVALID_ARGUMENT', `${what}: expected a JSON value, got ${typeof body}`)
  return Buffer.from(text)
}

function stringify(body: unknown, what: string): string | undefined {
  try {
    return JSON.stringify(body)
  } catch (cause) {
    throw new MusterError('INVALID_ARGUMENT', `${what}: ${String(cause)}`, { cause })
  }
}
