/** How fast messages get in. What was published is counted and removed after each round, outside of the time. */
import { perSecond } from '../harness/measure.js'
import type { Variant } from './best.js'
import type { BullPeer } from './bullmq.js'
import { inFlight, publishAll, type Ours, type Pace } from './ours.js'
import { payloads } from './payload.js'

/** Our `publishMany` of so many messages, in its various paces. */
export function oursInBulk(ours: Ours, queue: string, messages: number, paces: readonly Pace[]): readonly Variant[] {
  const bodies = payloads(messages)
  return paces.map((pace) => ({
    name: `publishMany, ${text(pace)}`,
    run: async () => {
      const ms = await publishAll(ours, queue, bodies, pace)
      const removed = await ours.queues.cleanQueue(queue)
      if (removed !== messages) throw new Error(`${removed} of ${messages} messages were there`)
      return (messages / ms) * 1_000
    },
  }))
}

/** BullMQ's `addBulk` of so many jobs, in its various paces. */
export function bullInBulk(peer: BullPeer, messages: number, paces: readonly Pace[]): readonly Variant[] {
  const bodies = payloads(messages)
  return paces.map((pace) => ({
    name: `BullMQ addBulk, ${text(pace)}`,
    run: async () => {
      const ms = await inFlight(bodies, pace, (batch) => peer.addBulk(batch))
      const there = await peer.count()
      if (there !== messages) throw new Error(`${there} of ${messages} jobs were there`)
      await peer.empty()
      return (messages / ms) * 1_000
    },
  }))
}

/** Messages a second when each is awaited before the next. */
export function oneAtATime(messages: number, publish: (index: number) => Promise<unknown>): Promise<number> {
  return perSecond(messages, 1, publish)
}

function text({ batch, flight }: Pace): string {
  return flight === 1 ? `${batch} in a call` : `${flight} calls of ${batch} at once`
}
