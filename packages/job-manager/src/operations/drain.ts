/**
 * Drain: a machine is taken out of use by whoever decides it, leader or not. Invariant: once a drain is committed nothing is placed
 * there any more, whatever a leader believed a moment earlier, since every placement asks in its own transaction.
 */
import { MusterError } from '@muster/core'
import type { Steps, Tx } from './operation.js'

/** Takes a machine out of use; one that is drained already stays as it is. Answers 1 where that is new. */
export function* drain(tx: Tx, machine: string, by: string, reason: string): Steps<number> {
  tx.memo.delete(DRAINS)
  return (yield ['insertDrain', [machine, by, reason, tx.now]]).length
}

/** Takes it into use again. Answers 1 where it was drained. */
export function* resume(tx: Tx, machine: string): Steps<number> {
  tx.memo.delete(DRAINS)
  return (yield ['removeDrain', [machine]]).length
}

/** Throws MACHINE_DRAINED where nothing may be placed. How many are drained is read once for a group: most often none is. */
export function* refuseDrained(tx: Tx, machine: string): Steps<void> {
  let drains = tx.memo.get(DRAINS)
  if (drains === undefined) {
    const [row] = yield ['drainCount', []]
    drains = Number(row?.[0] ?? 0)
    tx.memo.set(DRAINS, drains)
  }
  if (drains === 0) return
  const [drained] = yield ['drain', [machine]]
  if (drained)
    throw new MusterError('MACHINE_DRAINED', `${machine} was drained by ${String(drained[0])}`, {
      details: { machine },
    })
}

const DRAINS = 'drains'
