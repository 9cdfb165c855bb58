/**
 * A machine that does not answer, as the record has it: what was known of it stays, and why it is silent, with what mends it, stands
 * beside that since the first look that failed. Invariant: trouble of the record itself is never taken for a machine's.
 */
import { isMusterError, MusterError } from '@muster/core'
import type { MachineTrouble, SeenMachine } from '@muster/job-manager'
import { troubleText } from '../scheduler/words.js'
import type { Desk } from './desk.js'

/** What an error says of a machine; undefined where it says something of the record instead. */
export function troubleOf(error: unknown, since: number): MachineTrouble | undefined {
  if (!isMusterError(error))
    return { code: 'TRANSPORT_LOST', message: String(error), hint: 'The log of the leader says more.', since }
  const { code, message, hint } = error
  return code.startsWith('STORE_') ? undefined : { code, message, hint, since }
}

/** Writes it down. */
export async function saveSilent(
  { store, epoch, clock }: Desk,
  name: string,
  state: 'suspect' | 'unreachable',
  trouble: MachineTrouble,
): Promise<void> {
  const known = (await store.machines()).find((machine) => machine.name === name)
  const { probe, quarantined }: Pick<SeenMachine, 'probe' | 'quarantined'> = known ?? { probe: {}, quarantined: {} }
  const reason = troubleText(trouble, clock.now())
  await store.saveMachine(epoch, { name, state, reason, probe, quarantined, trouble })
}

/** Machines that an earlier leader knew and this one does not: the record says so, or whoever waits for one would never learn it. */
export async function markUnconfigured(desk: Desk, configured: ReadonlyMap<string, unknown>): Promise<void> {
  const { store, clock, host } = desk
  for (const { name, trouble } of await store.machines()) {
    if (configured.has(name) || trouble?.code === UNCONFIGURED) continue
    const { message, hint, code } = new MusterError(
      UNCONFIGURED,
      `it is not configured where the leader runs (${host})`,
    )
    await saveSilent(desk, name, 'unreachable', { code, message, hint, since: clock.now() })
  }
}

const UNCONFIGURED = 'UNKNOWN_MACHINE'
