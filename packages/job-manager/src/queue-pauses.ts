/** Paused queues of jobs, as the record has them: a person's decision, which binds every placement and outlives every broker. */
import { parseWith } from '@muster/core'
import { z } from 'zod'
import type { SqlDriver } from './sql/driver.js'
import type { JobStore } from './store.js'
import type { QueueEvent, QueuePause } from './types.js'

/** As a job may name its queue. */
const queueName = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), 'must be one line without control characters')

/** The members of JobStore about paused queues. */
export function queuePauses(driver: SqlDriver): Pick<JobStore, 'setQueuePaused' | 'pausedQueues' | 'queueHistory'> {
  return {
    async setQueuePaused(queue: string, paused: boolean, by: string): Promise<boolean> {
      const name = parseWith(queueName, queue, 'queue')
      return (await driver.transaction('setQueuePaused', name, paused ? 1 : 0, by)) === 1
    },

    async pausedQueues(): Promise<ReadonlyMap<string, QueuePause>> {
      const rows = await driver.query('pausedQueues', [])
      return new Map(rows.map(([queue, by, at]) => [String(queue), { by: String(by), at: Number(at) }]))
    },

    async queueHistory(queue: string): Promise<readonly QueueEvent[]> {
      const rows = await driver.query('queueEvents', [queue])
      return rows.toReversed().map(([seq, paused, actor, at]) => ({
        seq: Number(seq),
        paused: paused === 1,
        actor: String(actor),
        at: Number(at),
      }))
    },
  }
}
