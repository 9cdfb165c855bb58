/**
 * The scheduler's input: an immutable view of the cluster. Built by the leader from what it holds in memory, and by `explain`
 * in any other process from the record, so that both give the same reasons.
 */
import type { Worker } from '@muster/core'
import { z } from 'zod'

/** The form in which the leader records a machine's facts. */
export const machineFactsSchema = z.object({
  labels: z.record(z.string(), z.string()),
  /** Slots: jobs claim CPUs of them; bookkeeping, not a limit on the job. */
  cpus: z.number(),
  memoryBytes: z.number(),
  gpus: z.array(z.object({ uuid: z.string(), model: z.string(), busyWith: z.array(z.number()) })),
  /** Programs that workers may need. */
  tools: z.array(z.string()).default([]),
})

/** What a machine has, as configured or probed; recorded by the leader so that every process can read it. */
export type MachineFacts = z.infer<typeof machineFactsSchema>

/** What one attempt holds of its machine. */
export interface Holding {
  readonly cpus: number
  readonly memoryBytes: number
  readonly gpus: readonly string[]
}

/** A machine at this moment. */
export interface MachineView {
  readonly name: string
  /** Why nothing may be placed there now; null when something may. */
  readonly closed: string | null
  /** Null until the machine was probed. */
  readonly facts: MachineFacts | null
  readonly held: Holding
  /** GPUs that may not be handed out, with the reason. */
  readonly quarantined: Readonly<Record<string, string>>
}

/** The cluster at this moment. */
export interface Snapshot {
  readonly machines: readonly MachineView[]
  /** Workers that the leader can run, each with what it needs of a machine. */
  readonly workers: ReadonlyMap<string, Pick<Worker, 'needs'>>
  /** Who leads, for the reasons. */
  readonly leader: string
}

/** Sums what attempts hold. */
export function totalHeld(holdings: Iterable<Holding>): Holding {
  let cpus = 0
  let memoryBytes = 0
  const gpus: string[] = []
  for (const holding of holdings) {
    cpus += holding.cpus
    memoryBytes += holding.memoryBytes
    gpus.push(...holding.gpus)
  }
  return { cpus, memoryBytes, gpus }
}
