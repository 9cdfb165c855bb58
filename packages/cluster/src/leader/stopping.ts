/**
 * Stopping: a wish is carried out, a lost or replaced attempt is buried. Nothing is called gone before the machine said that
 * nothing is left; what survives KILL is reported as stuck and its GPUs go into quarantine.
 */
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import type { Tracked } from './tracked.js'

/** Ends the attempt's processes. True when nothing is left; false when something is stuck (recorded, to be tried again). */
export async function stop(desk: Desk, machine: ManagedMachine, t: Tracked): Promise<boolean> {
  const again = t.live.job.conditions.stuck !== undefined
  const graceMs = again ? 0 : t.live.job.spec.graceMs
  const outcome = await machine.launcher.stop(t.key, { graceMs, reason: 'cancelled' }, desk.over)
  if (outcome.left === 'nothing') {
    if (again) await clearStuck(desk, t)
    return true
  }
  await reportStuck(desk, machine, t, outcome.pids)
  return false
}

/** Records that processes survive KILL, and quarantines the GPUs they may hold. */
export async function reportStuck(
  desk: Desk,
  machine: ManagedMachine,
  t: Tracked,
  pids: readonly number[],
): Promise<void> {
  if (t.live.job.conditions.stuck?.pids.join() === pids.join()) return
  const { gpus } = t.live.attempt
  const text = `pids ${pids.join(' ')} on ${machine.name}`
  const job = await desk.store.setConditions(desk.epoch, t.ref, { stuck: { pids, gpus } }, `machine:${machine.name}`, {
    text,
  })
  t.live = { ...t.live, job }
  await machine.quarantine(gpus, t.ref.jobId, `held by stuck processes (${text})`)
}

async function clearStuck(desk: Desk, t: Tracked): Promise<void> {
  const job = await desk.store.setConditions(desk.epoch, t.ref, { stuck: null }, desk.actor)
  t.live = { ...t.live, job }
}
