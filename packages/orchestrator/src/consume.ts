/**
 * Consuming a queue: receive as many as there are free slots, handle each, end each. Invariant: nothing is held that no handler is
 * working on, so a late priority overtakes all that waits, and closing has nothing to give back.
 *
 * A handler that returns acknowledges; one that throws retries later. While it runs its lease is extended every third of it; should
 * the lease be lost all the same, the handler's signal aborts, because from then on another may have the message.
 */
import {
  abortReason,
  closeOnce,
  isMusterError,
  MusterError,
  TaskGroup,
  withoutJob,
  type Clock,
  type Closable,
  type Logger,
} from '@muster/core'
import type { z } from 'zod'
import type { QueueBackend, RawDelivery } from './backend.js'
import type { Delivery } from './delivery.js'
import type { consumeOptions } from './options.js'

/** Handles one delivery. The signal aborts when the delivery is lost or the consumer is told to stop at once. */
export type Handler = (delivery: Delivery, context: { readonly signal: AbortSignal }) => unknown

/** What a consumer stands on. */
export interface ConsumerDeps {
  readonly backend: QueueBackend
  readonly clock: Clock
  readonly logger: Logger
  /** Makes the delivery that the handler sees; undefined where the body is of no use (it is a dead letter then). */
  readonly open: (raw: RawDelivery) => Promise<Delivery | undefined>
}

interface Held {
  readonly raw: RawDelivery
  readonly delivery: Delivery
  readonly abort: AbortController
  leaseUntil: number
}

/** How long one look at the queue lasts; then follows the next. */
const WAIT_MS = 20_000
const [PAUSE_MIN_MS, PAUSE_MAX_MS] = [100, 5_000]

/** A standing consumer of one queue. Begins at once; `close` takes no more and resolves when the handlers have ended. */
export class Consumer implements Closable {
  readonly #queue: string
  readonly #handler: Handler
  readonly #options: z.output<typeof consumeOptions>
  readonly #deps: ConsumerDeps
  readonly #handling: TaskGroup
  readonly #held = new Set<Held>()
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>
  #slotFreed: (() => void) | undefined
  #taken = 0
  #stopBeat: (() => void) | undefined

  constructor(queue: string, handler: Handler, options: z.output<typeof consumeOptions>, deps: ConsumerDeps) {
    this.#queue = queue
    this.#handler = handler
    this.#options = options
    this.#deps = deps
    this.#handling = new TaskGroup((error) => deps.logger.error({ err: error, queue }, 'consuming a message failed'))
    const { signal } = options
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted) this.#onAbort()
    // Whoever starts a consumer while handling a job must not lend that job's name to all that follows.
    this.#loop = withoutJob(() => this.#run())
  }

  /** Takes no more messages and resolves when the handlers under way have ended and settled. Twice is once. */
  readonly close = closeOnce(async () => {
    this.#stop.abort()
    await this.#loop
    await this.#handling.settled()
    this.#stopBeat?.()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  readonly #onAbort = (): void => {
    this.#stop.abort()
    const { signal } = this.#options
    if (signal) for (const { abort } of this.#held) abort.abort(abortReason(signal))
  }

  async #run(): Promise<void> {
    let pauseMs = PAUSE_MIN_MS
    while (!this.#stopped()) {
      await this.#slot()
      try {
        for (const raw of await this.#receive()) this.#begin(raw)
        pauseMs = PAUSE_MIN_MS
      } catch (error) {
        if (this.#stopped()) return
        if (isMusterError(error) && !error.retryable) {
          this.#deps.logger.error({ err: error, queue: this.#queue }, 'the consumer ends: the queue cannot be used')
          return
        }
        this.#deps.logger.warn({ err: error, queue: this.#queue, pauseMs }, 'receiving failed; trying again')
        await this.#pause(pauseMs)
        pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)
      }
    }
  }

  /** Resolves when at least one slot is free. */
  async #slot(): Promise<void> {
    if (this.#taken < this.#options.concurrency) return
    await new Promise<void>((resolve) => (this.#slotFreed = resolve))
  }

  #receive(): Promise<readonly RawDelivery[]> {
    const { concurrency, leaseMs, keepAlive } = this.#options
    const max = concurrency - this.#taken
    return this.#deps.backend.receive({
      queue: this.#queue,
      max,
      waitMs: WAIT_MS,
      leaseMs,
      keepAlive,
      signal: this.#stop.signal,
    })
  }

  #stopped(): boolean {
    return this.#stop.signal.aborted
  }

  async #pause(ms: number): Promise<void> {
    const woken = (): void => undefined // aborted: the loop looks at the signal itself
    await this.#deps.clock.sleep(ms, { signal: this.#stop.signal, unref: !this.#options.keepAlive }).catch(woken)
  }

  #begin(raw: RawDelivery): void {
    this.#taken++
    this.#handling.run(async () => {
      try {
        const delivery = await this.#deps.open(raw)
        if (delivery) await this.#handle({ raw, delivery, abort: new AbortController(), leaseUntil: raw.leaseUntil })
      } finally {
        this.#taken--
        this.#slotFreed?.()
      }
    })
  }

  async #handle(held: Held): Promise<void> {
    const { delivery, abort } = held
    this.#held.add(held)
    this.#beat()
    if (this.#options.signal?.aborted) this.#onAbort()
    try {
      const failure = await this.#try(held)
      if (delivery.settled) return
      if (failure === undefined) await delivery.ack()
      else if (this.#options.signal?.aborted) await delivery.release()
      else await delivery.retry(this.#retryOptions(delivery, failure.error))
    } catch (error) {
      // Nothing is lost: the message comes back when its lease ends, or another has it already.
      this.#deps.logger.warn(
        { err: error, queue: this.#queue, message: delivery.id, aborted: abort.signal.aborted },
        'settling failed',
      )
    } finally {
      this.#held.delete(held)
    }
  }

  async #try({ delivery, abort }: Held): Promise<{ error: unknown } | undefined> {
    try {
      await this.#handler(delivery, { signal: abort.signal })
      return undefined
    } catch (error) {
      this.#deps.logger.info({ err: error, queue: this.#queue, message: delivery.id }, 'the handler failed')
      return { error }
    }
  }

  #retryOptions({ tries }: Delivery, error: unknown): { delayMs?: number; reason: string } {
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, 1_000)
    const delayMs = this.#options.retryDelayMs?.(tries)
    return { reason, ...(delayMs !== undefined && { delayMs }) }
  }

  /** Extends all that is held after a third of the lease, and goes on as long as anything is. */
  #beat(): void {
    this.#stopBeat ??= this.#deps.clock.after(Math.floor(this.#options.leaseMs / 3), () => {
      this.#stopBeat = undefined
      if (this.#held.size === 0) return
      this.#beat()
      this.#handling.run(() => this.#extend([...this.#held].filter(({ delivery }) => !delivery.settled)))
    })
  }

  async #extend(held: readonly Held[]): Promise<void> {
    const { backend, clock, logger } = this.#deps
    const { leaseMs } = this.#options
    const asked = clock.monotonic()
    const outcomes = await backend
      .extend(held.map(({ raw }) => ({ receipt: raw.receipt, leaseMs })))
      .catch((error: unknown) => {
        logger.warn({ err: error, queue: this.#queue }, 'extending leases failed; trying again')
        return []
      })
    held.forEach((one, index) => {
      const outcome = outcomes[index]
      if (outcome === 'extended') one.leaseUntil = asked + leaseMs
      const lost = outcome === 'lease-lost' || one.leaseUntil <= clock.monotonic()
      if (lost && !one.delivery.settled)
        one.abort.abort(new MusterError('LEASE_LOST', `message ${one.raw.id}: its lease ran out`))
    })
  }
}
