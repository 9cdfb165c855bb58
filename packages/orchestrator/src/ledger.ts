/**
 * What is written down of each delivery that passes through this process: counted in the statistics, told to those who listen, logged where
 * it went wrong. Invariant: a loss is told once, and nothing here throws, since it runs where nobody could catch it.
 */
import type { Clock, Logger, MusterError } from '@muster/core'
import type { SettleOutcome, Settlement } from './backend.js'
import type { HeldDelivery } from './delivery.js'
import type { Events } from './events.js'
import type { Statistics, QueueTally } from './statistics.js'

/** Writes down what becomes of the deliveries of one queue. */
export class Ledger {
  readonly #queue: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #events: Events
  readonly #tally: QueueTally

  constructor(
    queue: string,
    deps: {
      readonly clock: Clock
      readonly logger: Logger
      readonly events: Events
      readonly statistics: Statistics
    },
  ) {
    this.#queue = queue
    this.#clock = deps.clock
    this.#logger = deps.logger
    this.#events = deps.events
    this.#tally = deps.statistics.of(queue)
  }

  /** It was handed out. */
  delivered(held: HeldDelivery): void {
    const { id, tries, crashes, publishedAt, beganAt } = held
    const waitedMs = Math.max(0, this.#clock.now() - publishedAt)
    this.#tally.count('delivered', beganAt)
    if (tries === 0 && crashes === 0) this.#tally.waited(waitedMs)
    if (this.#events.wants('delivered'))
      this.#events.emit('delivered', { queue: this.#queue, id, tries, crashes, waitedMs })
  }

  /** Its settlement ended. */
  settled(held: HeldDelivery, settlement: Settlement, outcome: SettleOutcome | undefined, error: unknown): void {
    this.#tally.ran(held.endedAt - held.beganAt)
    if (outcome === 'settled' || outcome === 'dead') return this.#effective(held, settlement, outcome)
    if (outcome === 'already-settled') return
    if (outcome === 'lease-lost') return this.lost(held)
    this.#tally.count('lost', held.endedAt)
    this.#events.emit('unconfirmed', { queue: this.#queue, id: held.id })
    this.#logger.warn(
      { err: error, queue: this.#queue, message: held.id, as: settlement.as },
      'a settlement was not confirmed: the message may come again',
    )
  }

  /** Its lease ended before it was settled. */
  lost(held: HeldDelivery): void {
    if (held.lost) return
    held.lost = true
    this.#tally.count('lost', this.#clock.monotonic())
    this.#events.emit('lease-lost', { queue: this.#queue, id: held.id })
    this.#logger.warn({ queue: this.#queue, message: held.id }, 'a lease was lost: another may have the message')
  }

  /** Its handler took too long. */
  timedOut(held: HeldDelivery, timeoutMs: number): void {
    this.#events.emit('timed-out', { queue: this.#queue, id: held.id, timeoutMs })
    this.#logger.info({ queue: this.#queue, message: held.id, timeoutMs }, 'a handler took too long')
  }

  /** Its handler threw. */
  failed(held: HeldDelivery, error: unknown): void {
    this.#logger.info({ err: error, queue: this.#queue, message: held.id }, 'the handler failed')
  }

  /** It was left behind by a close that could wait no longer. */
  abandoned(held: HeldDelivery): void {
    this.#events.emit('abandoned', { queue: this.#queue, id: held.id })
    const text = 'a delivery did not end in the grace of the close; its message comes back when its lease ends'
    this.#logger.warn({ queue: this.#queue, message: held.id }, text)
  }

  /** Its body is of no use. */
  refused(held: HeldDelivery, refusal: string): void {
    this.#logger.warn({ queue: this.#queue, message: held.id, refusal }, 'a message does not fit: a dead letter')
  }

  /** The queue gives nothing; asked again in `retryInMs`. */
  stalled(error: unknown, retryInMs: number): void {
    this.#events.emit('stalled', { queue: this.#queue, error, retryInMs })
    this.#logger.warn({ err: error, queue: this.#queue, retryInMs }, 'receiving failed; trying again')
  }

  /** The queue gives again. */
  recovered(): void {
    this.#events.emit('recovered', { queue: this.#queue })
    this.#logger.info({ queue: this.#queue }, 'receiving again')
  }

  /** Asking again cannot help. */
  ended(error: MusterError): void {
    this.#events.emit('ended', { queue: this.#queue, error })
    this.#logger.error({ err: error, queue: this.#queue }, 'the consumer ends: the queue cannot be used')
  }

  #effective(held: HeldDelivery, settlement: Settlement, outcome: 'settled' | 'dead'): void {
    const { endedAt, id } = held
    const queue = this.#queue
    if (settlement.as === 'ack' || settlement.as === 'release') {
      this.#tally.count(settlement.as === 'ack' ? 'acked' : 'released', endedAt)
      if (this.#events.wants('settled'))
        this.#events.emit('settled', { queue, id, as: settlement.as, ranMs: endedAt - held.beganAt })
    } else if (settlement.as === 'retry' && outcome === 'settled') {
      this.#tally.count('retried', endedAt)
      const { delayMs, reason = '' } = settlement
      this.#events.emit('retried', { queue, id, tries: held.tries + 1, delayMs, reason })
    } else {
      this.#tally.count('dead', endedAt)
      const reason = settlement.as === 'dead' ? 'rejected' : 'max-tries'
      this.#events.emit('dead', { queue, id, reason, detail: settlement.reason ?? '' })
    }
  }
}
