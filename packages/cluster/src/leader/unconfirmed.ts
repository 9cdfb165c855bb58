/** Unconfirmed: the machine is silent. A fact beside the state, never a verdict; only `onLost` of the job itself may end an attempt. */
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import type { Tracked } from './tracked.js'

/** Says since when the machine has been silent, once. */
export async function markUnconfirmed(desk: Desk, machine: string, t: Tracked): Promise<void> {
  if (t.live.job.conditions.unconfirmedSince !== undefined) return
  const patch = { unconfirmedSince: desk.clock.now() }
  const job = await desk.store.setConditions(desk.epoch, t.ref, patch, desk.actor, { machine })
  t.live = { ...t.live, job }
}

/** The machine answered: clears the mark. */
export async function markConfirmed(desk: Desk, machine: ManagedMachine, t: Tracked): Promise<void> {
  if (t.live.job.conditions.unconfirmedSince === undefined) return
  const job = await desk.store.setConditions(desk.epoch, t.ref, { unconfirmedSince: null }, desk.actor, {
    machine: machine.name,
  })
  t.live = { ...t.live, job }
}

/** Ends an attempt whose job declared that a second copy does no harm, after the silence it named. It is killed at the next contact. */
export async function replaceLost(desk: Desk, t: Tracked): Promise<void> {
  const { onLost } = t.live.job.spec
  const since = t.live.job.conditions.unconfirmedSince
  if (onLost === 'wait' || since === undefined || desk.clock.now() - since < onLost.replaceAfterMs) return
  const detail = { text: 'replaced by the rule onLost; not confirmed gone' }
  const job = await desk.store.finish(
    desk.epoch,
    t.ref,
    { outcome: 'machine-lost', notConfirmedGone: true, detail },
    desk.actor,
  )
  t.live = { ...t.live, job, attempt: { ...t.live.attempt, notConfirmedGone: true } }
  t.phase = 'bury'
}
