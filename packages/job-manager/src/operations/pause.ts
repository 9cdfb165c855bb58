/**
 * Pausing a queue of jobs: whoever decides it writes it, leader or not. Invariant: once a pause is committed no job of that queue is
 * placed any more, whatever a leader believed a moment earlier, since every placement asks in its own transaction.
 */
import { MusterError } from '@muster/core'
import type { Steps, Tx } from './operation.js'

/** Pauses or resumes a queue of jobs; one that is so already stays as it is. Answers 1 where that is new. */
export function* setQueuePaused(tx: Tx, queue: string, paused: number, by: string): Steps<number> {
  tx.memo.delete(PAUSES)
  const changed = paused === 1 ? yield ['insertPause', [queue, by, tx.now]] : yield ['removePause', [queue]]
  if (changed.length > 0) yield ['insertQueueEvent', [queue, paused, by, tx.now]]
  return changed.length
}

/** Throws QUEUE_PAUSED where nothing of the queue may be placed. How many are paused is read once for a group: most often none is. */
export function* refusePaused(tx: Tx, queue: string): Steps<void> {
  let pauses = tx.memo.get(PAUSES)
  if (pauses === undefined) {
    const [row] = yield ['pausedCount', []]
    pauses = Number(row?.[0] ?? 0)
    tx.memo.set(PAUSES, pauses)
  }
  if (pauses === 0) return
  const [paused] = yield ['pausedQueue', [queue]]
  if (paused)
    throw new MusterError('QUEUE_PAUSED', `the queue ${queue} was paused by ${String(paused[0])}`, {
      details: { queue },
    })
}

const PAUSES = 'pauses'
