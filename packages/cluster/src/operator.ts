/**
 * What an operator does with machines: look at one, take it out of use, take it into use again. Everything is written by whoever
 * asks for it, leader or not; a look needs no leader at all.
 */
import { z } from 'zod'
import { ENOUGH, MusterError, type Clock, type Logger } from '@muster/core'
import type { JobStore, LiveAttempt, MachineRecord } from '@muster/job-manager'
import type { Probe } from './launch/launcher.js'
import { factsFrom } from './leader/machine.js'
import { MachineRegistry, type MachineConfig } from './registry.js'
import type { MachineFacts } from './scheduler/snapshot.js'

/** What a look at a machine found. */
export interface MachineLook {
  readonly name: string
  /** What counts for placements: the probe, with what the configuration says instead. */
  readonly facts: MachineFacts
  readonly probe: Probe
}

/** How a drain is waited for. */
export interface DrainWait {
  readonly signal?: AbortSignal
  /** Called with the machine and what may still be there, at first and whenever that changed. */
  readonly progress?: (machine: MachineRecord, left: readonly LiveAttempt[]) => void
}

/** The probe that a leader wrote down, or null where the machine was never probed. */
export function probeOf(machine: MachineRecord): StoredProbe | null {
  const parsed = storedProbe.safeParse(machine.probe)
  return parsed.success ? parsed.data : null
}

/** What is read of a probe in the record; an older one may have less. */
const storedProbe = z.object({
  disk: z.object({ path: z.string(), freeBytes: z.number().nullable() }),
  gitVersion: z.string().nullable(),
  bootId: z.string(),
  problems: z.array(z.object({ text: z.string(), mend: z.string(), fatal: z.boolean() })),
})
/** What is read of a probe in the record. */
export type StoredProbe = z.infer<typeof storedProbe>

/** Asks a configured machine what it has, now. Throws UNKNOWN_MACHINE and what a connection or a probe throws. */
export async function lookAt(registry: MachineRegistry, name: string, signal?: AbortSignal): Promise<MachineLook> {
  const { config, launcher } = registry.reach(name)
  const probe = await launcher.probe(signal)
  return { name, facts: factsFrom(config, probe), probe }
}

/** The same for a machine that no cluster has yet: connects, asks, closes. Throws what a connection or a probe throws. */
export async function lookAtMachine(
  config: MachineConfig,
  tools: { readonly clock: Clock; readonly logger: Logger },
  signal?: AbortSignal,
): Promise<MachineLook> {
  await using registry = new MachineRegistry([config], tools)
  return await lookAt(registry, config.name, signal)
}

/** Throws UNKNOWN_MACHINE for a machine that is neither configured here nor in the record. */
export async function refuseUnknown(store: JobStore, registry: MachineRegistry, name: string): Promise<void> {
  if (registry.configs.has(name)) return
  const known = new Set([...registry.configs.keys(), ...(await store.machines()).map((machine) => machine.name)])
  if (known.has(name)) return
  throw new MusterError('UNKNOWN_MACHINE', `no machine is called ${name}; configured: ${[...known].join(', ')}`, {
    details: { machine: name },
  })
}

/** Waits until nothing of the record is left on a drained machine. Ends early, with what is recorded then, when it was resumed. */
export async function untilDrained(
  { store, clock }: { readonly store: JobStore; readonly clock: Clock },
  machine: string,
  { signal, progress }: DrainWait,
): Promise<MachineRecord | undefined> {
  let woken = new AbortController()
  const ring = (): void => {
    woken.abort(ENOUGH)
  }
  const forget = store.onChange(ring)
  signal?.addEventListener('abort', ring)
  try {
    for (let told = ''; ;) {
      signal?.throwIfAborted()
      woken = new AbortController()
      const [machines, left] = await Promise.all([store.machines(), store.live({ machine })])
      const record = machines.find(({ name }) => name === machine)
      if (!record?.drain || record.state === 'drained') return record
      const news = JSON.stringify([record.state, left.map(({ job, attempt }) => [job.id, attempt.number, job.state])])
      if (news !== told) progress?.(record, left)
      told = news
      // A timer, so that the process stays while somebody waits.
      await clock.sleep(LOOK_MS, { signal: woken.signal }).catch(() => undefined)
    }
  } finally {
    forget()
    signal?.removeEventListener('abort', ring)
  }
}

const LOOK_MS = 30_000
