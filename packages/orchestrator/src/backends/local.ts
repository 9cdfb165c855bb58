/**
 * The local backend: queues in the memory of this process, for programs that need no server and for tests. It keeps the whole
 * contract except that it dies with its process (`durable`) and nobody else sees it (`shared`).
 *
 * Invariant: memory is bounded. Beyond `maxBytes` a publish is refused like that to a full queue, and a queue that was not
 * declared is forgotten as soon as it holds nothing.
 */
import { ENOUGH, abortReason, MusterError } from '@muster/core'
import {
  CAPABILITIES,
  DEFAULT_SETTINGS,
  type BackendCapabilities,
  type BackendOptions,
  type OutgoingMessage,
  type PublishOutcome,
  type QueueBackend,
  type RawDelivery,
  type Receipt,
  type ReceiveRequest,
} from '../backend.js'
import {
  checkExtensions,
  checkMessages,
  checkQueue,
  checkReceive,
  checkSelection,
  checkSettings,
  checkSettlements,
} from '../checks.js'
import { LocalQueue, type Waiter } from './local-queue.js'

/** What the local backend offers. */
export const LOCAL_CAPABILITIES: BackendCapabilities = {
  ...(Object.fromEntries(CAPABILITIES.map((name) => [name, true])) as Record<(typeof CAPABILITIES)[number], true>),
  durable: false,
  shared: false,
  name: 'local',
  maxLeaseMs: 86_400_000,
  frozenHolderBoundMs: 0,
}

/** What a message costs beside its body, roughly. */
const OVERHEAD_BYTES = 512

/** Options of the local backend alone. */
export interface LocalOptions extends Pick<BackendOptions, 'clock' | 'ids'> {
  /** The memory that all messages may take together; 512 MiB unless given. */
  readonly maxBytes?: number
}

/** Opens a backend of its own: two of them share nothing. */
export function open({ clock, ids, maxBytes = 2 ** 29 }: LocalOptions): QueueBackend {
  const queues = new Map<string, LocalQueue>()
  let bytes = 0
  let closed = false

  /** The queue of that name, brought up to the present. */
  function enter(name: string): LocalQueue {
    if (closed) throw new MusterError('BACKEND_CLOSED', 'the local backend was closed')
    checkQueue(name)
    let queue = queues.get(name)
    if (queue === undefined) {
      queue = new LocalQueue(name, DEFAULT_SETTINGS, clock, (size) => (bytes -= size + OVERHEAD_BYTES))
      queues.set(name, queue)
    }
    queue.advance()
    return queue
  }

  /** Does something with a queue and forgets it afterwards if it holds nothing. */
  function use<T>(name: string, work: (queue: LocalQueue) => T): T {
    const queue = enter(name)
    try {
      return work(queue)
    } finally {
      leave(name, queue)
    }
  }

  /** Does something for each item in its queue, in order; neighbours of one queue enter it once. */
  function inQueues<I extends { readonly receipt: Receipt }, O>(
    batch: readonly I[],
    work: (queue: LocalQueue, item: I) => O,
  ): O[] {
    const outcomes: O[] = []
    while (outcomes.length < batch.length) {
      const name = batch[outcomes.length]?.receipt.queue ?? ''
      use(name, (queue) => {
        for (let item = batch[outcomes.length]; item?.receipt.queue === name; item = batch[outcomes.length])
          outcomes.push(work(queue, item))
        queue.serve()
      })
    }
    return outcomes
  }

  function leave(name: string, queue: LocalQueue): void {
    if (!queue.idle) return
    queue.stop()
    queues.delete(name)
  }

  function store(name: string, queue: LocalQueue, messages: readonly OutgoingMessage[]): PublishOutcome[] {
    const times = { publishedAt: clock.now(), now: clock.monotonic() }
    return messages.map(({ id: given, body, priority = 5, delayMs = 0 }) => {
      const id = given ?? ids.next()
      if (given !== undefined && queue.has(given)) return { status: 'duplicate', id }
      const text = typeof body === 'string'
      const size = (text ? Buffer.byteLength(body) : body.length) + OVERHEAD_BYTES
      if (queue.full || bytes + size > maxBytes) return { status: 'failed', id, error: full(name, queue) }
      bytes += size
      queue.add(
        { id, born: given === undefined, body: text ? body : charactersOf(body), text, priority, delayMs },
        times,
      )
      return { status: 'accepted', id }
    })
  }

  /** Waits in the queue's row of receivers. Whatever ends the wait takes it out of the row first, so no delivery is handed to nobody. */
  function wait(queue: LocalQueue, request: ReceiveRequest): Promise<RawDelivery[]> {
    const { queue: name, max, leaseMs, waitMs, signal, keepAlive = true } = request
    return new Promise((resolve, reject) => {
      const timer = new AbortController()
      const end = (answer: () => void): void => {
        if (!queue.waiters.delete(waiter)) return
        signal?.removeEventListener('abort', onAbort)
        timer.abort(ENOUGH)
        leave(name, queue)
        answer()
      }
      const waiter: Waiter = { max, leaseMs, hand: (deliveries) => end(() => resolve(deliveries)) }
      const onAbort = (): void => end(() => signal && reject(abortReason(signal)))
      queue.waiters.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
      const timeUp = (): void => end(() => resolve([]))
      // The sleep rejects when the wait ended otherwise; `end` then has nothing left to do.
      clock.sleep(waitMs, { signal: timer.signal, unref: !keepAlive }).then(timeUp, timeUp)
    })
  }

  return {
    capabilities: LOCAL_CAPABILITIES,

    declare: async (name, settings = {}) => {
      checkSettings(settings)
      const queue = enter(name)
      queue.settings = { ...queue.settings, ...settings }
      queue.declared = true
    },

    publish: async (name, messages, { signal } = {}) => {
      if (signal?.aborted) throw abortReason(signal)
      checkMessages(messages)
      return use(name, (queue) => {
        const outcomes = store(name, queue, messages)
        queue.serve()
        return outcomes
      })
    },

    receive: async (request) => {
      if (request.signal?.aborted) throw abortReason(request.signal)
      checkReceive(request, LOCAL_CAPABILITIES)
      const queue = enter(request.queue)
      const deliveries = queue.take(request.max, request.leaseMs)
      if (deliveries.length > 0) return deliveries
      if (request.waitMs > 0) return wait(queue, request)
      leave(request.queue, queue)
      return deliveries
    },

    settle: async (batch) => {
      checkSettlements(batch)
      return inQueues(batch, (queue, item) => queue.settle(item))
    },

    extend: async (batch) => {
      checkExtensions(batch, LOCAL_CAPABILITIES)
      return inQueues(batch, (queue, { receipt, leaseMs }) => queue.extend(receipt, leaseMs))
    },

    counts: async (name) => use(name, (queue) => queue.counts()),

    list: async () => {
      if (closed) throw new MusterError('BACKEND_CLOSED', 'the local backend was closed')
      return [...queues.keys()].sort()
    },

    browseDead: async (name, { limit, cursor }) => {
      checkSelection({ limit }, LOCAL_CAPABILITIES)
      return use(name, (queue) => queue.browseDead(limit, cursor === undefined ? 0 : Number(cursor)))
    },

    redrive: async (name, which = {}) => {
      checkSelection(which, LOCAL_CAPABILITIES)
      return use(name, (queue) => queue.redrive(which))
    },

    clean: async (name, which = {}) => {
      checkSelection(which, LOCAL_CAPABILITIES)
      return use(name, (queue) => queue.clean(which))
    },

    setPaused: async (name, paused) => use(name, (queue) => queue.pause(paused)),

    close: async () => {
      if (closed) return
      closed = true
      for (const queue of queues.values()) {
        queue.stop()
        for (const waiter of queue.waiters) waiter.hand([])
      }
      queues.clear()
    },
  }
}

function full(name: string, { settings, full: atLimit }: LocalQueue): MusterError {
  const why = atLimit ? `at its limit of ${settings.limit} messages` : 'out of memory'
  return new MusterError('QUEUE_FULL', `queue ${name} is ${why}`)
}

function charactersOf(body: Uint8Array): string {
  const bytes = body instanceof Buffer ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return bytes.toString('latin1')
}
