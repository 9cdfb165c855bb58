/**
 * The facade: JSON messages over any QueueBackend. Wide where the seam is narrow; everything here is written once for all backends.
 * Invariant: whoever opened the backend closes it, and after `close` no handler of ours runs and no receive of ours waits.
 */
import { closeOnce, MusterError, parseWith, type Clock, type Closable, type JsonValue, type Logger } from '@muster/core'
import type {
  BackendCapabilities,
  CleanRequest,
  OutgoingMessage,
  PublishOutcome,
  QueueBackend,
  QueueCounts,
  RawDelivery,
} from './backend.js'
import { checkQueue } from './checks.js'
import { Consumer, type Handler } from './consume.js'
import { decodeBody, Delivery, encodeBody } from './delivery.js'
import {
  batchMessage,
  consumeOptions,
  publishOptions,
  receiveOptions,
  type ConsumeOptions,
  type PublishOptions,
  type ReceiveOptions,
} from './options.js'

/** A message that the backend holds. */
export interface Published {
  readonly id: string
  /** Whether a message with this id was there before; nothing was changed then. */
  readonly duplicate: boolean
}

/** A message of a batch. */
export interface BatchMessage extends Omit<PublishOptions, 'signal'> {
  readonly body: JsonValue
}

/** What the facade stands on. */
export interface OrchestratorDeps {
  readonly backend: QueueBackend
  /** Whether `close` closes the backend. */
  readonly ownsBackend: boolean
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

/** Queues over a backend; `openOrchestrator` makes one. Every method throws BACKEND_CLOSED after `close`. */
export class Orchestrator implements Closable {
  readonly #deps: OrchestratorDeps
  readonly #consumers = new Set<Consumer>()
  readonly #waits = new Set<AbortController>()
  #closed = false

  constructor(deps: OrchestratorDeps) {
    this.#deps = deps
  }

  /** What the backend behind it can do. */
  get capabilities(): BackendCapabilities {
    return this.#deps.backend.capabilities
  }

  /** Resolves when the backend holds the message. Throws INVALID_ARGUMENT, MESSAGE_TOO_LARGE, QUEUE_FULL. */
  async publish(queue: string, message: JsonValue, options: PublishOptions = {}): Promise<Published> {
    const { signal, ...rest } = parseWith(publishOptions, options, 'publish')
    const outgoing = { ...present(rest), body: encodeBody(message, 'message') }
    const [outcome] = await this.#backend().publish(queue, [outgoing], { signal })
    if (outcome?.status === 'failed') throw outcome.error
    return published(outcome)
  }

  /**
   * Publishes many, in order. Throws PUBLISH_INCOMPLETE where some were refused; `details.failures` names them by index, and
   * the others are in.
   */
  async publishMany(
    queue: string,
    messages: readonly BatchMessage[],
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<readonly Published[]> {
    const outgoing = messages.map((message, index): OutgoingMessage => {
      const { body, ...rest } = parseWith(batchMessage, message, `messages[${index}]`)
      return { ...present(rest), body: encodeBody(body, `messages[${index}]`) }
    })
    const outcomes = await this.#backend().publish(queue, outgoing, { signal: options.signal })
    refuseFailures(queue, outcomes)
    return outcomes.map(published)
  }

  /** The next message, held for `leaseMs`; undefined where none came within `waitMs`. A body that is no JSON becomes a dead letter. */
  async receiveMessage(queue: string, options: ReceiveOptions = {}): Promise<Delivery | undefined> {
    const { waitMs, leaseMs, signal } = parseWith(receiveOptions, options, 'receiveMessage')
    const until = this.#deps.clock.monotonic() + waitMs
    for (;;) {
      const leftMs = Math.max(0, Math.ceil(until - this.#deps.clock.monotonic()))
      const [raw] = await this.#waitOnce(signal, (abort) =>
        this.#backend().receive({ queue, max: 1, waitMs: leftMs, leaseMs, signal: abort }),
      )
      if (raw === undefined) return undefined
      const delivery = await this.#open(raw)
      if (delivery) return delivery
    }
  }

  /** Handles messages until the consumer, or this orchestrator, is closed: acknowledged on return, retried later on a throw. */
  consume(queue: string, handler: Handler, options: ConsumeOptions = {}): Closable {
    checkQueue(queue)
    const parsed = parseWith(consumeOptions, options, 'consume')
    const { clock, logger } = this.#deps
    const deps = { backend: this.#backend(), clock, logger, open: (raw: RawDelivery) => this.#open(raw) }
    const consumer = new Consumer(queue, handler, parsed, deps)
    this.#consumers.add(consumer)
    const close = closeOnce(async () => {
      await consumer.close()
      this.#consumers.delete(consumer)
    })
    return { close, [Symbol.asyncDispose]: close }
  }

  /** Removes what waits in the queue (or what `which` selects), never what is held; says how many. */
  async cleanQueue(queue: string, which: CleanRequest = {}): Promise<number> {
    return this.#backend().clean(queue, which)
  }

  /** How many messages are where. */
  async countQueueMessages(queue: string): Promise<QueueCounts> {
    return this.#backend().counts(queue)
  }

  /** The names of the queues, sorted. */
  async queues(): Promise<readonly string[]> {
    return this.#backend().list()
  }

  /** Stops the consumers and waits for their handlers, ends waiting receives with nothing, then closes the backend if it is ours. */
  readonly close = closeOnce(async () => {
    this.#closed = true
    for (const wait of this.#waits) wait.abort()
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()))
    if (this.#deps.ownsBackend) await this.#deps.backend.close()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #backend(): QueueBackend {
    if (this.#closed) throw new MusterError('BACKEND_CLOSED', 'the orchestrator was closed')
    return this.#deps.backend
  }

  /** One receive that the caller's signal aborts and that `close` ends with nothing. */
  async #waitOnce(
    signal: AbortSignal | undefined,
    receive: (abort: AbortSignal) => Promise<readonly RawDelivery[]>,
  ): Promise<readonly RawDelivery[]> {
    const wait = new AbortController()
    const onAbort = (): void => wait.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    this.#waits.add(wait)
    try {
      return await receive(wait.signal)
    } catch (error) {
      if (this.#closed && wait.signal.aborted && !signal?.aborted) return []
      throw error
    } finally {
      this.#waits.delete(wait)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #open(raw: RawDelivery): Promise<Delivery | undefined> {
    const { backend, logger, random } = this.#deps
    const body = decodeBody(raw)
    if (body) return new Delivery(raw, body.value, backend, random)
    logger.warn({ queue: raw.receipt.queue, message: raw.id }, 'a message that is no JSON becomes a dead letter')
    await backend.settle([{ as: 'dead', receipt: raw.receipt, reason: 'the body is no JSON text' }])
    return undefined
  }
}

function published(outcome: PublishOutcome | undefined): Published {
  if (outcome === undefined) throw new MusterError('BACKEND_UNAVAILABLE', 'the backend gave no answer')
  return { id: outcome.id, duplicate: outcome.status === 'duplicate' }
}

function refuseFailures(queue: string, outcomes: readonly PublishOutcome[]): void {
  const failures = outcomes.flatMap((outcome, index) =>
    outcome.status === 'failed'
      ? [{ index, id: outcome.id, code: outcome.error.code, retryable: outcome.error.retryable }]
      : [],
  )
  if (failures.length === 0) return
  const text = `queue ${queue}: ${failures.length} of ${outcomes.length} messages were not accepted (${failures[0]?.code})`
  throw new MusterError('PUBLISH_INCOMPLETE', text, {
    details: { failures },
    retryable: failures.every(({ retryable }) => retryable),
  })
}

/** The fields without those that are undefined: for the seam, absent means absent. */
function present({ id, priority, delayMs }: Omit<PublishOptions, 'signal'>): Omit<OutgoingMessage, 'body'> {
  return {
    ...(id !== undefined && { id }),
    ...(priority !== undefined && { priority }),
    ...(delayMs !== undefined && { delayMs }),
  }
}
