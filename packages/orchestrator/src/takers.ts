/**
 * All who take messages out of the queues of one orchestrator: standing consumers, `for await` loops, and callers who receive by hand.
 * Invariant: after `close` none of them holds a message that it could still settle, and none waits.
 */
import { MusterError, parseWith, type Closable } from '@muster/core'
import { ByHand } from './by-hand.js'
import { checkReceive } from './checks.js'
import { Consumer, type Handler } from './consume.js'
import type { HeldDelivery } from './delivery.js'
import type { Engine } from './engine.js'
import {
  consumeOptions,
  receiveOptions,
  streamOptions,
  type CloseOptions,
  type ConsumeOptions,
  type ReceiveOptions,
  type StreamOptions,
} from './options.js'
import type { KnownQueue } from './queue-definition.js'
import { DeliveryStream } from './stream.js'

/** A standing consumer. */
export interface ConsumerHandle extends Closable {
  readonly queue: string
  /** How many messages it holds now. */
  readonly active: number
  /** Takes no more and resolves when its handlers have ended and settled. Called again with a shorter limit it hastens. */
  close(options?: CloseOptions): Promise<void>
}

/** Those who take. */
export class Takers {
  readonly #engine: Engine
  readonly #consumers = new Set<Consumer>()
  readonly #streams = new Set<{ end(): void }>()
  readonly #waits = new Set<AbortController>()
  /** Received by hand, with a signal that somebody asked for. */
  readonly #watched = new Set<HeldDelivery>()
  #closing: Promise<void> | undefined

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Starts a consumer; `onEnded` hears when it ends by itself. Throws INVALID_ARGUMENT. */
  consume(
    queue: KnownQueue,
    handler: Handler<never>,
    options: ConsumeOptions,
    onEnded?: (error: MusterError) => void,
  ): ConsumerHandle {
    const parsed = parseWith(consumeOptions, options, 'consume')
    const { leaseMs } = parsed
    checkReceive({ queue: queue.name, max: 1, waitMs: 0, leaseMs }, this.#engine.backend.capabilities)
    const consumer = new Consumer(queue, handler, parsed, this.#engine, onEnded)
    this.#consumers.add(consumer)
    const close = async (limits?: CloseOptions): Promise<void> => {
      await consumer.close(limits)
      this.#consumers.delete(consumer)
    }
    return {
      queue: queue.name,
      get active() {
        return consumer.active
      },
      close,
      [Symbol.asyncDispose]: () => close(),
    }
  }

  /** A loop that begins to take with its first `next`. Throws INVALID_ARGUMENT. */
  stream<Out>(queue: KnownQueue, options: StreamOptions): DeliveryStream<Out> {
    const parsed = parseWith(streamOptions, options, 'consume')
    const stream: DeliveryStream<Out> = new DeliveryStream<Out>({
      signal: parsed.signal,
      consume: (handler) => {
        if (this.#closing) throw new MusterError('BACKEND_CLOSED', 'the orchestrator was closed')
        this.#streams.add(stream)
        const consumer = this.consume(queue, handler, { ...parsed, concurrency: 1 }, (error) => stream.fail(error))
        const close = async (): Promise<void> => {
          this.#streams.delete(stream)
          await consumer.close()
        }
        return { close }
      },
    })
    return stream
  }

  /** The next message that is of use; undefined where none came in time, or where the orchestrator is closed meanwhile. */
  async receive(queue: KnownQueue, options: ReceiveOptions): Promise<HeldDelivery | undefined> {
    const { waitMs, leaseMs, signal } = parseWith(receiveOptions, options, 'receiveMessage')
    const { backend, clock } = this.#engine
    const byHand = new ByHand(queue, this.#engine, this.#watched)
    const until = clock.monotonic() + waitMs
    for (;;) {
      const leftMs = Math.max(0, Math.ceil(until - clock.monotonic()))
      const [raw] = await this.#waitOnce(signal, (abort) =>
        backend.receive({ queue: queue.name, max: 1, waitMs: leftMs, leaseMs, signal: abort }),
      )
      if (raw === undefined) return undefined
      const held = await byHand.open(raw)
      if (typeof held === 'object') return held
      // Where answers come too late, the next would, too: the caller's time ends this.
      if (held === 'late' && leftMs === 0) return undefined
    }
  }

  /** Ends them all; called again with a shorter limit it hastens. */
  async close(options: CloseOptions): Promise<void> {
    const hasten = this.#closing !== undefined
    this.#closing ??= this.#end(options)
    if (hasten) for (const consumer of this.#consumers) void consumer.close(options)
    await this.#closing
  }

  async #end(options: CloseOptions): Promise<void> {
    for (const wait of this.#waits) wait.abort()
    for (const stream of this.#streams) stream.end()
    await Promise.all([...this.#consumers].map((consumer) => consumer.close(options)))
    const why = new MusterError('CONSUMER_CLOSED', 'the orchestrator was closed')
    for (const held of this.#watched) held.interrupt(why)
    await this.#engine.settler.idle()
  }

  /** One receive that the caller's signal aborts and that `close` ends with nothing. */
  async #waitOnce<T>(
    signal: AbortSignal | undefined,
    receive: (abort: AbortSignal) => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    const wait = new AbortController()
    const onAbort = (): void => wait.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    this.#waits.add(wait)
    try {
      return await receive(wait.signal)
    } catch (error) {
      if (this.#closing && wait.signal.aborted && !signal?.aborted) return []
      throw error
    } finally {
      this.#waits.delete(wait)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
