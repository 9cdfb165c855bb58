/**
 * Our side of the rows, the same on every backend. Invariant: what is timed ends when the last message is durable (publish) or settled
 * (the others), and a message too few or too many is an error, not a figure.
 */
import {
  openBackend,
  openOrchestrator,
  type Orchestrator,
  type QueueBackend,
  type QueueDefinition,
  type RawDelivery,
} from '@muster/orchestrator'
import type { JsonValue } from '@muster/core'
import { timed } from '../harness/measure.js'
import { inBatches } from './payload.js'
import type { Mail } from './typed.js'

/** A queue's backend and the facade over it. */
export interface Ours {
  readonly backend: QueueBackend
  readonly queues: Orchestrator
  close(): Promise<void>
}

/** A queue a million deep needs more than the 512 MiB that `local` takes by default; other backends do not look at it. */
const OPTIONS = { namespace: 'bench', maxBytes: 2 ** 31 }

/** Opens both at this address. Whoever opens closes. */
export async function openOurs(url: string): Promise<Ours> {
  const backend = await openBackend(url, OPTIONS)
  const queues = await openOrchestrator({ backend })
  return {
    backend,
    queues,
    close: async () => {
      await queues.close()
      await backend.close()
    },
  }
}

/** How a batch call is used: so many in one call, so many calls at once. */
export interface Pace {
  readonly batch: number
  readonly flight: number
}

/** Runs `work` on all batches of `items`, in order, `flight` at a time. Gives the milliseconds. */
export async function inFlight<T>(
  items: readonly T[],
  { batch, flight }: Pace,
  work: (batch: readonly T[]) => Promise<unknown>,
): Promise<number> {
  const batches = inBatches(items, batch).values()
  const lane = async (): Promise<void> => {
    for (const one of batches) await work(one)
  }
  return timed(() => Promise.all(Array.from({ length: flight }, lane)))
}

/** Publishes through the facade. Gives the milliseconds. */
export function publishAll({ queues }: Ours, queue: string, bodies: readonly JsonValue[], pace: Pace): Promise<number> {
  return inFlight(bodies, pace, (batch) =>
    queues.publishMany(
      queue,
      batch.map((body) => ({ body })),
    ),
  )
}

/** Receives, parses and acknowledges `count` messages that are there. Gives the milliseconds. */
export async function drain({ backend }: Ours, queue: string, count: number, { batch, flight }: Pace): Promise<number> {
  let unclaimed = count
  let settled = 0
  const lane = async (): Promise<void> => {
    while (unclaimed > 0) {
      const max = Math.min(batch, unclaimed)
      unclaimed -= max
      const deliveries = await backend.receive({ queue, max, waitMs: 1_000, leaseMs: 30_000 })
      if (deliveries.length === 0) throw new Error(`${queue} is empty after ${settled} of ${count} messages`)
      unclaimed += max - deliveries.length
      for (const delivery of deliveries) read(delivery)
      const outcomes = await backend.settle(deliveries.map(({ receipt }) => ({ as: 'ack', receipt })))
      const lost = outcomes.find((outcome) => outcome !== 'settled')
      if (lost !== undefined) throw new Error(`a message of ${queue} was not settled: ${lost}`)
      settled += deliveries.length
    }
  }
  return timed(() => Promise.all(Array.from({ length: flight }, lane)))
}

/** A handler's view of a message: nothing is handed over unread. */
function read(delivery: RawDelivery): JsonValue {
  const { text } = delivery
  if (text !== undefined) return JSON.parse(text) as JsonValue
  const { buffer, byteOffset, byteLength } = delivery.body
  return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString()) as JsonValue
}

/** Consumes `count` messages that are there, each checked by the schema, with a handler that does nothing. Gives the milliseconds to the last one being settled. */
export async function consumeAll(
  { queues }: Ours,
  queue: QueueDefinition<Mail>,
  count: number,
  concurrency: number,
): Promise<number> {
  let left = count
  let consumer: { close(): Promise<void> } | undefined
  return timed(async () => {
    await new Promise<void>((resolve) => {
      consumer = queues.consume(
        queue,
        async () => {
          left -= 1
          if (left === 0) resolve()
        },
        { concurrency },
      )
    })
    await consumer?.close()
  })
}

/** Throws unless nothing waits and nothing is held. */
export async function assertEmpty({ backend }: Ours, queue: string): Promise<void> {
  const { ready, leased = 0, dead } = await backend.counts(queue)
  if (ready + leased + dead > 0)
    throw new Error(`${queue} should be empty: ${ready} ready, ${leased} leased, ${dead} dead`)
}
