/**
 * Burying: an attempt that the rule `onLost` had replaced is met again and was killed. Its log and artifacts come here, what the
 * machine says of its end is kept as an event; its outcome stays as the rule left it. Only then is it confirmed gone.
 */
import type { EventData } from '@muster/core'
import type { Observation } from '../launch/launcher.js'
import { collect } from './collecting.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import type { Tracked } from './tracked.js'

/** See the file's head. Nothing of the attempt may run any more. Safe to repeat. */
export async function bury(desk: Desk, machine: ManagedMachine, t: Tracked): Promise<void> {
  const [seen] = await machine.launcher.inspect([t.key], desk.over)
  const began = seen?.status === 'gone' || (seen?.status === 'exited' && seen.exit.outcome !== 'never-started')
  if (began) await collect(desk, machine, t)
  await desk.store.confirmGone(desk.epoch, t.ref, `machine:${machine.name}`, seen && reportOf(t, seen))
}

/** What the machine says of the end of an attempt whose end was written without it; undefined where it says nothing. */
function reportOf({ ref }: Tracked, seen: Observation): EventData | undefined {
  if (seen.status === 'gone') return { report: 'gone', text: `attempt ${ref.attempt} was found dead: ${seen.reason}` }
  if (seen.status !== 'exited') return undefined
  const { outcome, exitCode, signal, endedAt } = seen.exit
  return {
    report: outcome,
    text: `attempt ${ref.attempt} was met again after it had been replaced: ${outcome}`,
    exitCode,
    signal,
    endedAt,
  }
}
