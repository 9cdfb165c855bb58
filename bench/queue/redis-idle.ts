/** Publish to the start of the handler on an idle Redis, against BullMQ. Both consumers may run ten handlers at once. */
import { interleavedAll } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { BullPeer } from './bullmq.js'
import { idleLatency, oursIdle } from './idle.js'
import { openOurs } from './ours.js'
import type { Servers } from './servers.js'

const ROUNDS = 7
const QUEUE = 'bench'
const CONCURRENCY = 10

/** p50 and p99. */
export async function redisIdle(servers: Servers): Promise<readonly Measured[]> {
  const { url } = await servers.redis()
  const [ours, peer] = [await openOurs(url), await BullPeer.open(url, QUEUE)]
  const theirs = { publish: peer.add.bind(peer), stand: peer.stand.bind(peer, CONCURRENCY) }
  try {
    const { p50, p99 } = await interleavedAll(ROUNDS, idleLatency(oursIdle(ours, QUEUE)), idleLatency(theirs))
    const name = (what: string): string => `redis: publish to handler start when idle, ${what}`
    return [
      comparedTo('BullMQ', p50, { name: name('p50'), unit: 'ms', sense: 'at most', bar: 0.8 }),
      comparedTo('BullMQ', p99, { name: name('p99'), unit: 'ms', sense: 'at most', bar: 1.5 }),
    ]
  } finally {
    await peer.close()
    await ours.close()
  }
}
