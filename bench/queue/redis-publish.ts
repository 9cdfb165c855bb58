/** Publishing to Redis, against BullMQ: many in a call, with one call at a time and with several, and one message at a time. */
import type { Context } from '../harness/load.js'
import { interleaved } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { best } from './best.js'
import { BullPeer } from './bullmq.js'
import { openOurs, type Pace } from './ours.js'
import { payload } from './payload.js'
import { bullInBulk, oneAtATime, oursInBulk } from './publishing.js'
import type { Servers } from './servers.js'

const ROUNDS = 7
const QUEUE = 'bench'
/** Rates are compared, so the quicker side may do more in a round, which makes its figure steadier. */
const [OURS, THEIRS, SINGLES] = [60_000, 15_000, 1_500]
const ONE_CALL: readonly Pace[] = [100, 250, 500, 1_000, 5_000, 20_000].map((batch) => ({ batch, flight: 1 }))
const CALLS: readonly Pace[] = [
  { batch: 100, flight: 4 },
  { batch: 100, flight: 8 },
  { batch: 500, flight: 4 },
  { batch: 1_000, flight: 2 },
]

/** publishMany against addBulk, each at its best. */
export async function redisPublishMany(servers: Servers, context: Context): Promise<readonly Measured[]> {
  const { url } = await servers.redis()
  const [ours, peer] = [await openOurs(url), await BullPeer.open(url, QUEUE)]
  const compare = async (what: string, paces: readonly Pace[]): Promise<Measured> => {
    const us = await best(`redis publishMany, ${what}`, oursInBulk(ours, QUEUE, OURS, paces), context)
    const them = await best(`BullMQ addBulk, ${what}`, bullInBulk(peer, THEIRS, paces), context)
    return comparedTo(them.name, await interleaved(ROUNDS, us.run, them.run), {
      ...{ name: `redis: publishMany, ${what}`, unit: '/s', sense: 'at least', bar: 6 },
    })
  }
  try {
    return [await compare('one call at a time', ONE_CALL), await compare('several calls at once', CALLS)]
  } finally {
    await peer.close()
    await ours.close()
  }
}

/** One message at a time, each awaited. */
export async function redisPublishOne(servers: Servers): Promise<readonly Measured[]> {
  const { url } = await servers.redis()
  const [ours, peer] = [await openOurs(url), await BullPeer.open(url, QUEUE)]
  const us = async (): Promise<number> => {
    const rate = await oneAtATime(SINGLES, (index) => ours.queues.publish(QUEUE, payload(index)))
    await ours.queues.cleanQueue(QUEUE)
    return rate
  }
  const them = async (): Promise<number> => {
    const rate = await oneAtATime(SINGLES, (index) => peer.add(payload(index)))
    await peer.empty()
    return rate
  }
  try {
    return [
      comparedTo('BullMQ add', await interleaved(ROUNDS, us, them), {
        ...{ name: 'redis: publish, one at a time', unit: '/s', sense: 'at least', bar: 1 },
      }),
    ]
  } finally {
    await peer.close()
    await ours.close()
  }
}
