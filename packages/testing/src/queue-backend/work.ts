/**
 * What one producer and one consumer of a crowd do, as a task of this process or in a process of its own. Invariant: what a consumer
 * reports as ended was answered so by the backend; nothing here expects, so that it runs outside of a test, too.
 */
import type { QueueBackend, RawDelivery, SettleOutcome, Settlement } from '@muster/orchestrator'

/** What a producer does. Its messages are called `PRODUCER:NUMBER`. */
export interface ProduceOrder {
  readonly queue: string
  readonly producer: number
  readonly count: number
  readonly seed: number
  /** Any priority, or all the same. */
  readonly mixed: boolean
}

/** What a consumer does until it is stopped. */
export interface ConsumeOrder {
  readonly queue: string
  readonly seed: number
  /** `ack` all, or of each four messages one of each: release then ack, refuse, retry to the end, ack. */
  readonly verdict: 'ack' | 'all'
}

/** One delivery as its consumer saw it. */
export interface Seen {
  readonly text: string
  readonly tries: number
  readonly crashes: number
  readonly outcome: SettleOutcome | undefined
  readonly as: Settlement['as']
}

/** A producer or consumer, wherever it runs. */
export interface Worker {
  /** Resolves when all are accepted; with how many were not. */
  produce(order: ProduceOrder): Promise<number>
  /** Consumes until `stop`; `ended` hears of each message that left the queue for good. */
  consume(order: ConsumeOrder, ended: (count: number) => void, stop: AbortSignal): Promise<readonly Seen[]>
}

/** Both as tasks of this process. */
export function taskWorker(backend: QueueBackend): Worker {
  return { produce: (order) => produce(backend, order), consume: consume.bind(undefined, backend) }
}

/** A small generator of numbers in [0, 1) that a seed decides (mulberry32), so that a failure can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** In batches of random size. */
async function produce(backend: QueueBackend, order: ProduceOrder): Promise<number> {
  const random = seeded(order.seed)
  let refused = 0
  for (let sent = 0; sent < order.count;) {
    const size = Math.min(1 + Math.floor(random() * 9), order.count - sent)
    const batch = Array.from({ length: size }, (_, n) => ({
      body: new TextEncoder().encode(`${order.producer}:${sent + n}`),
      priority: order.mixed ? Math.floor(random() * 10) : 5,
    }))
    const outcomes = await backend.publish(order.queue, batch)
    refused += outcomes.filter(({ status }) => status !== 'accepted').length
    sent += size
  }
  return refused
}

async function consume(
  backend: QueueBackend,
  order: ConsumeOrder,
  ended: (count: number) => void,
  stop: AbortSignal,
): Promise<readonly Seen[]> {
  const random = seeded(order.seed)
  const seen: Seen[] = []
  const released = new Set<string>()
  while (!stop.aborted) {
    const max = 1 + Math.floor(random() * 20)
    const batch = await backend.receive({ queue: order.queue, max, waitMs: 50, leaseMs: 30_000 })
    if (batch.length > max) throw new Error(`${batch.length} deliveries, though ${max} were asked for`)
    const settlements = batch.map((delivery) => settlement(delivery, order.verdict, released))
    const outcomes = await backend.settle(settlements)
    const now = settlements.map(({ as }, at): Seen => {
      const { body, tries, crashes } = batch[at] as RawDelivery
      return { text: new TextDecoder().decode(body), tries, crashes, outcome: outcomes[at], as }
    })
    seen.push(...now)
    ended(now.filter(({ as, outcome }) => outcome === 'dead' || (as === 'ack' && outcome === 'settled')).length)
  }
  return seen
}

function settlement({ id, body, receipt, tries }: RawDelivery, verdict: string, released: Set<string>): Settlement {
  const kind = verdict === 'ack' ? 3 : Number(new TextDecoder().decode(body).split(':')[1]) % 4
  if (kind === 0 && !released.has(id)) {
    released.add(id)
    return { as: 'release', receipt }
  }
  if (kind === 1) return { as: 'dead', reason: 'no', receipt }
  if (kind === 2) return { as: 'retry', delayMs: tries === 0 ? 5 : 0, receipt }
  return { as: 'ack', receipt }
}
