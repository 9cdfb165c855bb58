/**
 * The local backend against queues of functions in this process. Ours makes bytes of each payload, holds it under a lease and parses
 * it again: the way of a message that could as well go through a server. Theirs pass a reference.
 */
import type { JsonValue } from '@muster/core'
import type { Context } from '../harness/load.js'
import { interleaved, timed, type Side } from '../harness/measure.js'
import { comparedTo, printed, printedBeside, type Measured } from '../harness/result.js'
import { best } from './best.js'
import { withFastq, withPQueue, type InProcessPeer } from './in-process.js'
import { assertEmpty, consumeAll, drain, openOurs, publishAll, type Ours } from './ours.js'
import { payloads } from './payload.js'
import { typedQueue } from './typed.js'

const ROUNDS = 9
const MESSAGES = 50_000
const PEER_CONCURRENCIES = [1, 16, 256]
const QUEUE = 'bench'
const PUBLISH = { batch: 1_000, flight: 1 }
const RECEIVE = { batch: 250, flight: 1 }
const CONCURRENCY = 250

/** The row of the local backend. `messages` go through in each round. */
export async function local(context: Context, messages = MESSAGES): Promise<readonly Measured[]> {
  const bodies = payloads(messages)
  const ours = await openOurs('local')
  try {
    const batches = publishedAndTaken(ours, bodies)
    const consumed = rate(ours, bodies, () => consumeAll(ours, typedQueue(QUEUE), messages, CONCURRENCY))
    const pQueue = await atItsBest('p-queue', withPQueue, bodies, context)
    const fast = await atItsBest('fastq', withFastq, bodies, context)
    const name = (what: string): string => `local: ${what}`
    return [
      comparedTo(pQueue.name, await interleaved(ROUNDS, batches, pQueue.side), {
        ...{ name: name('publish, receive and settle'), unit: '/s', sense: 'at least', bar: 5 },
      }),
      printedBeside(fast.name, await interleaved(ROUNDS, batches, fast.side), {
        ...{ name: name('publish, receive and settle, beside fastq'), unit: '/s' },
      }),
      printedBeside(pQueue.name, await interleaved(ROUNDS, consumed, pQueue.side), {
        ...{ name: name('publishMany and consume, everything on'), unit: '/s' },
      }),
      printed(await oneByOne(ours, bodies.slice(0, messages / 5)), {
        ...{ name: name('publish, receiveMessage and ack, each awaited'), unit: '/s' },
      }),
    ]
  } finally {
    await ours.close()
  }
}

/** Batches in, batches out, through the backend. */
export function publishedAndTaken(ours: Ours, bodies: readonly JsonValue[]): Side {
  return rate(ours, bodies, () => drain(ours, QUEUE, bodies.length, RECEIVE))
}

function rate(ours: Ours, bodies: readonly JsonValue[], take: () => Promise<number>): Side {
  return async () => {
    const ms = (await publishAll(ours, QUEUE, bodies, PUBLISH)) + (await take())
    await assertEmpty(ours, QUEUE)
    return (bodies.length / ms) * 1_000
  }
}

/** A peer with the number of tasks at once that suits it. */
export async function atItsBest(
  who: string,
  peer: InProcessPeer,
  bodies: readonly JsonValue[],
  context: Context,
): Promise<{ readonly name: string; readonly side: Side }> {
  const variants = PEER_CONCURRENCIES.map((concurrency) => ({
    name: `${who}, ${concurrency} at a time`,
    run: async () => (bodies.length / (await peer(bodies, concurrency))) * 1_000,
  }))
  const { name, run } = await best(who, variants, context)
  return { name, side: run }
}

async function oneByOne({ queues }: Ours, bodies: readonly JsonValue[]): Promise<number> {
  const ms = await timed(async () => {
    for (const body of bodies) {
      await queues.publish(QUEUE, body)
      const delivery = await queues.receiveMessage(QUEUE)
      if (delivery === undefined) throw new Error('a message that was published is not there')
      await delivery.ack()
    }
  })
  return (bodies.length / ms) * 1_000
}
