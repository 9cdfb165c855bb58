/**
 * Taking messages out of Redis, against BullMQ's Worker at its best. Each side finds the same number of messages waiting and is timed
 * to the last one's settlement; both parse each payload and do nothing with it.
 */
import type { Context } from '../harness/load.js'
import { interleaved, type Side } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { best, type Variant } from './best.js'
import { BullPeer, type WorkerSetup } from './bullmq.js'
import { assertEmpty, consumeAll, drain, inFlight, openOurs, publishAll, type Ours, type Pace } from './ours.js'
import { payloads } from './payload.js'
import type { Servers } from './servers.js'
import { typedQueue } from './typed.js'

const ROUNDS = 7
const QUEUE = 'bench'
/** Rates are compared, so the quicker side may do more in a round, which makes its figure steadier. */
const [OURS, THEIRS] = [60_000, 15_000]
const FILL = { ours: { batch: 1_000, flight: 2 }, theirs: { batch: 100, flight: 4 } }
const RECEIVES: readonly Pace[] = [
  { batch: 100, flight: 2 },
  { batch: 250, flight: 1 },
  { batch: 250, flight: 2 },
  { batch: 250, flight: 4 },
  { batch: 500, flight: 2 },
  { batch: 1_000, flight: 2 },
]
const CONCURRENCIES = [100, 250, 500, 1_000]
const WORKERS: readonly WorkerSetup[] = [
  ...[50, 100, 200, 400].map((concurrency) => ({ concurrency, workers: 1 })),
  { concurrency: 100, workers: 2 },
]

/** Receive and settle through the backend. */
export function redisReceive(servers: Servers, context: Context): Promise<readonly Measured[]> {
  return against(servers, context, {
    name: 'redis: receive and settle through the backend',
    bar: 8,
    ways: (ours) =>
      RECEIVES.map((pace) => ({
        name: `${pace.flight} receives of ${pace.batch} at once`,
        run: taking(ours, () => drain(ours, QUEUE, OURS, pace)),
      })),
  })
}

/** `consume` with everything on: signals, a typed payload, automatic extension. */
export function redisConsume(servers: Servers, context: Context): Promise<readonly Measured[]> {
  return against(servers, context, {
    name: 'redis: consume, everything on',
    bar: 5,
    ways: (ours) =>
      CONCURRENCIES.map((concurrency) => ({
        name: `consume, concurrency ${concurrency}`,
        run: taking(ours, () => consumeAll(ours, typedQueue(QUEUE), OURS, concurrency)),
      })),
  })
}

async function against(
  servers: Servers,
  context: Context,
  { name, bar, ways }: { name: string; bar: number; ways: (ours: Ours) => readonly Variant[] },
): Promise<readonly Measured[]> {
  const { url } = await servers.redis()
  const [ours, peer] = [await openOurs(url), await BullPeer.open(url, QUEUE)]
  try {
    const us = await best(name, ways(ours), context)
    const them = await best(`BullMQ's Worker beside ${name}`, workers(peer), context)
    const rounds = await interleaved(ROUNDS, us.run, them.run)
    return [comparedTo(them.name, rounds, { name, unit: '/s', sense: 'at least', bar })]
  } finally {
    await peer.close()
    await ours.close()
  }
}

function taking(ours: Ours, take: () => Promise<number>): Side {
  const bodies = payloads(OURS)
  return async () => {
    await publishAll(ours, QUEUE, bodies, FILL.ours)
    const ms = await take()
    await assertEmpty(ours, QUEUE)
    return (OURS / ms) * 1_000
  }
}

function workers(peer: BullPeer): readonly Variant[] {
  const bodies = payloads(THEIRS)
  return WORKERS.map((setup) => ({
    name: `BullMQ, ${setup.workers === 1 ? 'a Worker' : `${setup.workers} Workers`} with concurrency ${setup.concurrency}`,
    run: async () => {
      await inFlight(bodies, FILL.theirs, (batch) => peer.addBulk(batch))
      const ms = await peer.process(THEIRS, setup)
      const left = await peer.count()
      if (left > 0) throw new Error(`BullMQ left ${left} jobs`)
      return (THEIRS / ms) * 1_000
    },
  }))
}
