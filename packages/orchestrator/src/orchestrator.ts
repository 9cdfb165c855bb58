/**
 * The facade: JSON messages over any QueueBackend. Wide where the seam is narrow; everything here is written once for all backends.
 * Invariant: whoever opened the backend closes it, and after `close` no handler of ours runs and no receive of ours waits.
 */
import { MusterError, parseWith, type Clock, type Closable, type JsonValue, type Logger } from '@muster/core'
import type { BackendCapabilities, CleanRequest, QueueBackend, QueueCounts, QueueSettings } from './backend.js'
import type { Handler } from './consume.js'
import { eachDead, pageOfDead, type DeadMessage, type DeadMessagePage } from './dead-letters.js'
import type { Delivery, HeldDelivery } from './delivery.js'
import type { Engine } from './engine.js'
import { Events, type QueueEventName, type QueueListener } from './events.js'
import {
  closeOptions,
  type CloseOptions,
  type ConsumeOptions,
  type DeadLettersOptions,
  type PublishOptions,
  type ReceiveOptions,
  type StreamOptions,
} from './options.js'
import { outgoing, outgoingBatch, published, refuseFailures, type BatchMessage, type Published } from './publish.js'
import { known, type QueueDefinition, type QueueRef } from './queue-definition.js'
import { Settler } from './settler.js'
import { Statistics, type QueueStats } from './statistics.js'
import { Suspects } from './suspects.js'
import { Takers, type ConsumerHandle } from './takers.js'

/** What the facade stands on. */
export interface OrchestratorDeps {
  readonly backend: QueueBackend
  /** Whether `close` closes the backend. */
  readonly ownsBackend: boolean
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

/**
 * Queues over a backend; `openOrchestrator` makes one. A queue is given by name, then any JSON passes, or by a definition
 * (`defineQueue`), then its schema checks both sides. Every method throws BACKEND_CLOSED after `close`, INVALID_ARGUMENT for what is no
 * queue, and BACKEND_UNAVAILABLE where the backend cannot be reached.
 */
export class Orchestrator implements Closable {
  readonly #ownsBackend: boolean
  readonly #engine: Engine
  readonly #takers: Takers
  #closing: Promise<void> | undefined

  constructor({ ownsBackend, ...deps }: OrchestratorDeps) {
    this.#ownsBackend = ownsBackend
    this.#engine = {
      ...deps,
      events: new Events(deps.logger),
      statistics: new Statistics(deps.clock),
      settler: new Settler(deps.backend),
      suspects: new Suspects(deps.clock),
    }
    this.#takers = new Takers(this.#engine)
  }

  /** What the backend behind it can do. */
  get capabilities(): BackendCapabilities {
    return this.#engine.backend.capabilities
  }

  /** Makes the queue with the settings of its definition, or changes those that are given. */
  async declare<In, Out>(queue: QueueRef<In, Out>, settings: Partial<QueueSettings> = {}): Promise<void> {
    const defined = typeof queue === 'string' ? {} : queue.settings
    await this.#backend().declare(known(queue).name, { ...defined, ...settings })
  }

  /** Resolves when the backend holds the message. Throws INVALID_ARGUMENT, MESSAGE_TOO_LARGE, QUEUE_FULL. */
  publish(queue: string, message: JsonValue, options?: PublishOptions): Promise<Published>
  publish<In, Out>(queue: QueueDefinition<In, Out>, message: NoInfer<In>, options?: PublishOptions): Promise<Published>
  async publish<In, Out>(queue: QueueRef<In, Out>, body: unknown, options: PublishOptions = {}): Promise<Published> {
    const definition = known(queue)
    const { name } = definition
    const message = await outgoing(definition, body, options)
    const [outcome] = await this.#backend().publish(name, [message], { signal: options.signal })
    if (outcome === undefined) throw new MusterError('BACKEND_UNAVAILABLE', 'the backend gave no answer')
    if (outcome.status === 'failed') throw outcome.error
    this.#tell(name, [published(outcome)])
    return published(outcome)
  }

  /**
   * Publishes many, in order. Throws PUBLISH_INCOMPLETE where some were refused; `details.failures` names them by index, and
   * the others are in.
   */
  publishMany(
    queue: string,
    messages: readonly BatchMessage<JsonValue>[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<readonly Published[]>
  publishMany<In, Out>(
    queue: QueueDefinition<In, Out>,
    messages: readonly BatchMessage<NoInfer<In>>[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<readonly Published[]>
  async publishMany<In, Out>(
    queue: QueueRef<In, Out>,
    messages: readonly BatchMessage<unknown>[],
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<readonly Published[]> {
    const definition = known(queue)
    const batch = await outgoingBatch(definition, messages)
    const outcomes = await this.#backend().publish(definition.name, batch, { signal: options.signal })
    const accepted = outcomes.filter(({ status }) => status !== 'failed').map(published)
    this.#tell(definition.name, accepted)
    refuseFailures(definition.name, outcomes)
    return accepted
  }

  /**
   * The next message, held for `leaseMs`; undefined where none came within `waitMs`. A body that is no JSON, or that the queue's
   * schema refuses, becomes a dead letter, and the one after it is handed out.
   */
  async receiveMessage<In = JsonValue, Out = JsonValue>(
    queue: QueueRef<In, Out>,
    options: ReceiveOptions = {},
  ): Promise<Delivery<Out> | undefined> {
    this.#backend()
    return (await this.#takers.receive(known(queue), options)) as HeldDelivery<Out> | undefined
  }

  /**
   * Handles messages until the consumer, or this orchestrator, is closed: acknowledged when the handler returns, retried later when it
   * throws. Its lease is extended as long as it runs. Without a handler the deliveries come as a `for await`, one at a time. Throws
   * INVALID_ARGUMENT, also for a lease that is longer than the backend's `maxLeaseMs`.
   */
  consume<In = JsonValue, Out = JsonValue>(
    queue: QueueRef<In, Out>,
    handler: Handler<NoInfer<Out>>,
    options?: ConsumeOptions,
  ): ConsumerHandle
  consume<In = JsonValue, Out = JsonValue>(
    queue: QueueRef<In, Out>,
    options?: StreamOptions,
  ): AsyncIterableIterator<Delivery<Out>, undefined>
  consume<In, Out>(
    queue: QueueRef<In, Out>,
    first: Handler<Out> | StreamOptions = {},
    options: ConsumeOptions = {},
  ): ConsumerHandle | AsyncIterableIterator<Delivery<Out>, undefined> {
    const definition = known(queue)
    this.#backend()
    return typeof first === 'function'
      ? this.#takers.consume(definition, first, options)
      : this.#takers.stream<Out>(definition, first)
  }

  /** Removes what waits in the queue (or what `which` selects), never what is held; says how many. */
  async cleanQueue<In, Out>(queue: QueueRef<In, Out>, which: CleanRequest = {}): Promise<number> {
    return this.#backend().clean(known(queue).name, which)
  }

  /** How many messages are where. */
  async countQueueMessages<In, Out>(queue: QueueRef<In, Out>): Promise<QueueCounts> {
    return this.#backend().counts(known(queue).name)
  }

  /** How full the queue is and how old its oldest message; rates, waiting and running times as this process saw them. */
  async stats<In, Out>(queue: QueueRef<In, Out>): Promise<QueueStats> {
    const { name } = known(queue)
    return { ...(await this.#backend().counts(name)), ...this.#engine.statistics.of(name).read() }
  }

  /** The names of the queues, sorted. */
  async queues(): Promise<readonly string[]> {
    return this.#backend().list()
  }

  /** A page of dead letters, oldest first. Throws UNSUPPORTED_BY_BACKEND for a `cursor` where `browse` is absent. */
  async deadLetters<In, Out>(queue: QueueRef<In, Out>, options: DeadLettersOptions = {}): Promise<DeadMessagePage> {
    return pageOfDead(this.#backend(), known(queue).name, options)
  }

  /** All dead letters in a `for await`, fetched by pages of `limit`; only the first page where `browse` is absent. */
  eachDeadLetter<In, Out>(
    queue: QueueRef<In, Out>,
    options: DeadLettersOptions = {},
  ): AsyncGenerator<DeadMessage, void, undefined> {
    return eachDead((page) => this.deadLetters(queue, page), options)
  }

  /** Puts dead letters back in line with both counts at 0, oldest first; says how many. `ids` throws where `byId` is absent. */
  async redrive<In, Out>(
    queue: QueueRef<In, Out>,
    which: { readonly limit?: number; readonly ids?: readonly string[] } = {},
  ): Promise<number> {
    return this.#backend().redrive(known(queue).name, which)
  }

  /** Holds back what waits, for every consumer in every process, within 1 s; what is in flight goes on. */
  async pause<In, Out>(queue: QueueRef<In, Out>): Promise<void> {
    await this.#backend().setPaused(known(queue).name, true)
    this.#engine.events.emit('paused', { queue: known(queue).name })
  }

  /** Hands out again. */
  async resume<In, Out>(queue: QueueRef<In, Out>): Promise<void> {
    await this.#backend().setPaused(known(queue).name, false)
    this.#engine.events.emit('resumed', { queue: known(queue).name })
  }

  /** Calls back for each event of that name; see {@link QueueEvents}. The returned function ends that. */
  on<N extends QueueEventName>(name: N, listener: QueueListener<N>): () => void {
    return this.#engine.events.on(name, listener)
  }

  /**
   * Closes the consumers (see {@link CloseOptions} for how long their handlers may go on), ends waiting receives with nothing, then closes
   * the backend if it is ours. Twice is once; called again with a shorter limit it hastens. Throws INVALID_ARGUMENT.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    parseWith(closeOptions, options, 'close')
    if (this.#closing) void this.#takers.close(options)
    await (this.#closing ??= this.#shutDown(options))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(options: CloseOptions): Promise<void> {
    await this.#takers.close(options)
    if (this.#ownsBackend) await this.#engine.backend.close()
  }

  #backend(): QueueBackend {
    if (this.#closing) throw new MusterError('BACKEND_CLOSED', 'the orchestrator was closed')
    return this.#engine.backend
  }

  #tell(queue: string, accepted: readonly Published[]): void {
    const { clock, events, statistics } = this.#engine
    statistics.of(queue).count('published', clock.monotonic(), accepted.length)
    if (!events.wants('published')) return
    for (const { id, duplicate } of accepted) events.emit('published', { queue, id, duplicate })
  }
}
