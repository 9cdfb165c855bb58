/** What a message that waits costs in the memory of Redis, ours and BullMQ's, by Redis's own account of its data set. */
import { median } from '../harness/measure.js'
import { printedBeside, type Measured } from '../harness/result.js'
import { BullPeer } from './bullmq.js'
import { inFlight, openOurs, publishAll } from './ours.js'
import { payloads } from './payload.js'
import type { RedisPlace, Servers } from './servers.js'

const MESSAGES = 100_000
const QUEUE = 'bench'

/** The row of Redis. */
export async function redisMemory(servers: Servers): Promise<readonly Measured[]> {
  const place = await servers.redis()
  const bodies = payloads(MESSAGES)
  const ours = await openOurs(place.url)
  const mine = await grown(place, () => publishAll(ours, QUEUE, bodies, { batch: 1_000, flight: 2 }))
  await ours.close()
  await place.flush()
  const peer = await BullPeer.open(place.url, QUEUE)
  const theirs = await grown(place, () => inFlight(bodies, { batch: 100, flight: 4 }, (batch) => peer.addBulk(batch)))
  await peer.close()
  await place.flush()
  const ratio = mine / theirs
  return [
    printedBeside(
      'BullMQ',
      { ours: mine, theirs, ratio, ratios: [ratio] },
      {
        ...{ name: `redis: memory of a waiting message, of ${MESSAGES}`, unit: 'B' },
      },
    ),
  ]
}

/** Bytes for each message. The account is asked thrice: what a finished call leaves behind goes after a moment. */
async function grown({ usedMemory }: RedisPlace, fill: () => Promise<unknown>): Promise<number> {
  const asked = async (): Promise<number> => median([await usedMemory(), await usedMemory(), await usedMemory()])
  const before = await asked()
  await fill()
  return ((await asked()) - before) / MESSAGES
}
