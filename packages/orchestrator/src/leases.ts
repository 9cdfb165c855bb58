/**
 * The leases of one consumer: one beat for all that it holds, whatever their number, and no timer for any of them. What has used up a quarter
 * of its lease is extended, in one batch; what cannot be extended before its lease ends is lost, and its handler hears of it at
 * that moment, because from then on another may have the message. Invariant: while anything is held a beat is due, no later than
 * the first moment at which something has to happen.
 */
import { MusterError, type Clock, type Logger } from '@muster/core'
import type { QueueBackend } from './backend.js'
import type { HeldDelivery } from './delivery.js'

/** What leases stand on. */
export interface LeaseDeps {
  readonly backend: QueueBackend
  readonly clock: Clock
  readonly logger: Logger
  readonly leaseMs: number
  /** How long one handler may take; Infinity: as long as it likes. */
  readonly timeoutMs: number
  /** A lease ended while its handler ran. */
  readonly onLost: (held: HeldDelivery) => void
  readonly onTimeout: (held: HeldDelivery) => void
}

/** Keeps the deliveries of one consumer. */
export class Leases {
  readonly #deps: LeaseDeps
  readonly #beatMs: number
  // In the order of their beginning, which with one timeout for all is that of their timeouts, too.
  readonly #held = new Set<HeldDelivery>()
  #cancelBeat: (() => void) | undefined
  #beatAt = 0
  #extending: Promise<void> | undefined

  constructor(deps: LeaseDeps) {
    this.#deps = deps
    this.#beatMs = Math.max(1, Math.min(Math.floor(deps.leaseMs / 4), deps.timeoutMs))
  }

  /** What is held. */
  [Symbol.iterator](): Iterator<HeldDelivery> {
    return this.#held[Symbol.iterator]()
  }

  /** Keeps a delivery from now on. */
  add(held: HeldDelivery): void {
    this.#held.add(held)
    const leftMs = held.leaseUntil - held.beganAt
    // What was long on its way is looked at while it can still be extended.
    if (leftMs < this.#deps.leaseMs * 0.75) this.#beatIn(held.beganAt, Math.max(1, Math.floor(leftMs / 2)))
    else if (this.#cancelBeat === undefined) this.#beatIn(held.beganAt, this.#beatMs)
  }

  /** Keeps it no longer. */
  remove(held: HeldDelivery): void {
    this.#held.delete(held)
  }

  /** Ends the beat, and waits for an extension that is under way. */
  async stop(): Promise<void> {
    this.#cancelBeat?.()
    this.#held.clear()
    await this.#extending
  }

  /** A beat in `ms` from `now`, unless there is one sooner. */
  #beatIn(now: number, ms: number): void {
    if (this.#cancelBeat !== undefined && this.#beatAt <= now + ms) return
    this.#cancelBeat?.()
    this.#beatAt = now + ms
    this.#cancelBeat = this.#deps.clock.after(ms, this.#beat)
  }

  readonly #beat = (): void => {
    this.#cancelBeat = undefined
    if (this.#held.size === 0) return
    const { clock, leaseMs, timeoutMs } = this.#deps
    const now = clock.monotonic()
    let nextMs = this.#beatMs
    const aging: HeldDelivery[] = []
    for (const held of this.#held) {
      const leftMs = held.leaseUntil - now
      if (leftMs <= 0) {
        this.#lose(held)
        continue
      }
      const untilTimeoutMs = held.beganAt + timeoutMs - now
      if (held.handling && untilTimeoutMs <= 0) this.#timeOut(held)
      else if (held.handling) nextMs = Math.min(nextMs, untilTimeoutMs)
      nextMs = Math.min(nextMs, leftMs)
      const extendable = !held.settled && held.interruption?.code !== 'HANDLER_TIMEOUT'
      if (leftMs <= leaseMs * 0.75 && extendable) aging.push(held)
    }
    if (aging.length > 0) this.#extending ??= this.#extend(aging)
    this.#beatIn(now, Math.max(1, Math.ceil(nextMs)))
  }

  async #extend(aging: readonly HeldDelivery[]): Promise<void> {
    const { backend, clock, logger, leaseMs } = this.#deps
    const asked = clock.monotonic()
    try {
      const outcomes = await backend.extend(aging.map(({ receipt }) => ({ receipt, leaseMs })))
      aging.forEach((held, index) => {
        if (outcomes[index] === 'extended') held.heldUntil(asked + leaseMs)
        else if (outcomes[index] === 'lease-lost' && !held.settled) this.#lose(held)
      })
    } catch (error) {
      // The next beat tries again, until the lease has ended.
      logger.warn({ err: error, messages: aging.length }, 'extending leases failed; trying again')
    } finally {
      this.#extending = undefined
    }
  }

  #lose(held: HeldDelivery): void {
    if (!this.#held.delete(held)) return
    held.interrupt(new MusterError('LEASE_LOST', `message ${held.id} of queue ${held.queue}: its lease ran out`))
    this.#deps.onLost(held)
  }

  /** From here on its lease is not extended: should the handler not end, another gets the message when the lease ends. */
  #timeOut(held: HeldDelivery): void {
    if (held.interruption) return
    const text = `message ${held.id} of queue ${held.queue}: its handler took longer than ${this.#deps.timeoutMs} ms`
    held.interrupt(new MusterError('HANDLER_TIMEOUT', text))
    this.#deps.onTimeout(held)
  }
}
