/**
 * Consuming by `for await`: one message at a time, held and extended while the loop's body works on it. Going on to the next acknowledges;
 * leaving the loop gives the message back uncounted, since nobody can tell a `break` from a throw. A body settles otherwise by the verbs
 * of its delivery. Invariant: at most one message is held, and only between two calls of `next`.
 */
import { abortReason, type MusterError } from '@muster/core'
import type { Delivery } from './delivery.js'

/** What a stream stands on. */
export interface StreamDeps<T> {
  /** Begins to consume, one message at a time. */
  readonly consume: (handler: (delivery: Delivery<T>) => Promise<void>) => { close(): Promise<void> }
  readonly signal: AbortSignal | undefined
}

type Next<T> = IteratorResult<Delivery<T>, undefined>

/** The deliveries of a queue, one by one. Ends when its orchestrator is closed; rejects when its signal aborts or its queue cannot be used. */
export class DeliveryStream<T> implements AsyncIterableIterator<Delivery<T>, undefined> {
  readonly #deps: StreamDeps<T>
  #consumer: { close(): Promise<void> } | undefined
  #current: { readonly delivery: Delivery<T>; readonly done: () => void } | undefined
  #wake: ((delivery: Delivery<T> | undefined) => void) | undefined
  #last: Promise<unknown> = Promise.resolve()
  #ended = false
  #failure: MusterError | undefined

  constructor(deps: StreamDeps<T>) {
    this.#deps = deps
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next message, when there is one; what `next` gave before is acknowledged unless it was settled. */
  next(): Promise<Next<T>> {
    const next = this.#last.then(() => this.#next())
    // One after the other, as of a generator; who called hears of the error.
    this.#last = next.catch(() => undefined)
    return next
  }

  /** Leaves: what was not settled goes back uncounted. */
  async return(): Promise<Next<T>> {
    this.end()
    const current = this.#current
    this.#current = undefined
    if (current && !current.delivery.settled) await giveBack(current.delivery)
    current?.done()
    await this.#consumer?.close()
    return { done: true, value: undefined }
  }

  /** Ends a wait with nothing: the orchestrator is being closed. */
  end(): void {
    this.#ended = true
    this.#wakeWith(undefined)
  }

  /** Ends the loop with an error: nothing comes any more. */
  fail(error: MusterError): void {
    this.#failure = error
    this.end()
  }

  async #next(): Promise<Next<T>> {
    this.#current?.done()
    this.#current = undefined
    const delivery = await this.#wait()
    if (delivery !== undefined) return { done: false, value: delivery }
    this.#ended = true
    await this.#consumer?.close()
    const { signal } = this.#deps
    if (signal?.aborted) throw abortReason(signal)
    if (this.#failure) throw this.#failure
    return { done: true, value: undefined }
  }

  async #wait(): Promise<Delivery<T> | undefined> {
    const { signal, consume } = this.#deps
    if (this.#ended || signal?.aborted) return undefined
    const waiting = new Promise<Delivery<T> | undefined>((resolve) => (this.#wake = resolve))
    const onAbort = (): void => this.#wakeWith(undefined)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#consumer ??= consume((delivery) => this.#hand(delivery))
    try {
      return await waiting
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** The handler: lasts until the loop goes on. What nobody waits for any more goes back. */
  async #hand(delivery: Delivery<T>): Promise<void> {
    if (this.#wake === undefined) return giveBack(delivery)
    await new Promise<void>((done) => {
      this.#current = { delivery, done }
      this.#wakeWith(delivery)
    })
  }

  #wakeWith(delivery: Delivery<T> | undefined): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.(delivery)
  }
}

/** A release that is refused has happened already: the lease was lost, or ends by itself. */
async function giveBack(delivery: Delivery<unknown>): Promise<void> {
  await delivery.release().catch(() => undefined)
}
