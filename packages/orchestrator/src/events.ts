/**
 * What the facade tells those who listen: one typed event for each thing that happens to a message or a consumer of this process.
 * Invariant: an event that nobody listens to costs one look at an empty set, and a listener that throws harms nobody.
 */
import type { Logger, MusterError } from '@muster/core'
import type { DeadReason } from './backend.js'

interface MessageEvent {
  readonly queue: string
  readonly id: string
}

/** The events and what each says. Times are milliseconds. */
export interface QueueEvents {
  /** The backend holds a message that was published here, or held it before (`duplicate`). */
  readonly published: MessageEvent & { readonly duplicate: boolean }
  /** A message was handed to a handler or a caller here. */
  readonly delivered: MessageEvent & { readonly tries: number; readonly crashes: number; readonly waitedMs: number }
  /** A delivery ended here: acknowledged, or given back uncounted. `ranMs`: since it was handed out. */
  readonly settled: MessageEvent & { readonly as: 'ack' | 'release'; readonly ranMs: number }
  /** A delivery failed here, and its message comes again after `delayMs`. */
  readonly retried: MessageEvent & { readonly tries: number; readonly delayMs: number; readonly reason: string }
  /** A delivery ended here as a dead letter. Those whose holder vanished die in the backend, unseen. */
  readonly dead: MessageEvent & { readonly reason: Exclude<DeadReason, 'max-crashes'>; readonly detail: string }
  /** A delivery is no longer held: its lease ran out, and another may have the message. */
  readonly 'lease-lost': MessageEvent
  /** A handler took longer than its `timeoutMs`; its signal aborts. */
  readonly 'timed-out': MessageEvent & { readonly timeoutMs: number }
  /** The connection broke while a delivery was being settled: settled, or to be delivered again. */
  readonly unconfirmed: MessageEvent
  /** `close` left a handler behind that did not end; its message comes back when its lease ends. */
  readonly abandoned: MessageEvent
  /** The queue was paused from here. */
  readonly paused: { readonly queue: string }
  /** The queue was resumed from here. */
  readonly resumed: { readonly queue: string }
  /** A consumer cannot receive; it tries again after `retryInMs`. */
  readonly stalled: { readonly queue: string; readonly error: unknown; readonly retryInMs: number }
  /** A consumer that was stalled receives again. */
  readonly recovered: { readonly queue: string }
  /** A consumer ended by itself, because trying again cannot help. */
  readonly ended: { readonly queue: string; readonly error: MusterError }
}
/** The name of an event. */
export type QueueEventName = keyof QueueEvents
/** Hears of one kind of event; what it returns is ignored. */
export type QueueListener<N extends QueueEventName> = (event: QueueEvents[N]) => void

type Listeners = { readonly [N in QueueEventName]?: Set<QueueListener<N>> }

/** Those who listen. */
export class Events {
  readonly #logger: Logger
  readonly #listeners: { [N in QueueEventName]?: Listeners[N] } = {}

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Calls back for each event of that name from now on; the returned function ends that. */
  on<N extends QueueEventName>(name: N, listener: QueueListener<N>): () => void {
    const listeners = this.#of(name)
    // A function of its own for each call, so that one listener added twice hears twice and is removed once.
    const own: QueueListener<N> = (event) => listener(event)
    listeners.add(own)
    return () => {
      listeners.delete(own)
    }
  }

  /** Whether anybody listens: ask before making an event on a path that is hot. */
  wants(name: QueueEventName): boolean {
    const listeners = this.#listeners[name]
    return listeners !== undefined && listeners.size > 0
  }

  /** Tells those who listen, in the order in which they came. */
  emit<N extends QueueEventName>(name: N, event: QueueEvents[N]): void {
    if (!this.wants(name)) return
    for (const listener of this.#of(name)) {
      try {
        listener(event)
      } catch (error) {
        this.#logger.error({ err: error, event: name }, 'a listener threw; its event went on to the others')
      }
    }
  }

  #of<N extends QueueEventName>(name: N): Set<QueueListener<N>> {
    const listeners: Set<QueueListener<N>> = this.#listeners[name] ?? new Set()
    ;(this.#listeners as { [K in N]?: Set<QueueListener<K>> })[name] = listeners
    return listeners
  }
}
