/**
 * schedule(snapshot, waiting) -> placements and refusals. Pure: no clock, no machine, no record. Jobs come in order of priority
 * and age and are placed greedily in that order; one that does not fit blocks nobody behind it. Every refusal carries its reasons.
 */
import type { WaitingJob } from '@muster/job-manager'
import { freeGpus, notNow } from './filters.js'
import { totalHeld, type MachineView, type Snapshot } from './snapshot.js'

/** A decision: this job goes there, with these GPUs. */
export interface Placement {
  readonly job: WaitingJob
  readonly machine: string
  readonly gpus: readonly string[]
}

/** Why a machine (or, with `machine: null`, the whole cluster) was refused for a job. */
export interface Refusal {
  readonly machine: string | null
  readonly reason: string
}

/** What a pass decided. */
export interface Plan {
  readonly placements: readonly Placement[]
  readonly refused: readonly { readonly job: WaitingJob; readonly reasons: readonly Refusal[] }[]
}

/** Places what fits. */
export function schedule(snapshot: Snapshot, waiting: readonly WaitingJob[]): Plan {
  const machines = new Map(snapshot.machines.map((machine) => [machine.name, machine]))
  const placements: Placement[] = []
  const refused: { job: WaitingJob; reasons: readonly Refusal[] }[] = []
  for (const job of waiting) {
    const reasons = refusals(job, { ...snapshot, machines: [...machines.values()] })
    const candidates = [...machines.values()].filter(
      (machine) => !reasons.some((r) => r.machine === null || r.machine === machine.name),
    )
    const best = candidates.toSorted((a, b) => score(job, b) - score(job, a))[0]
    if (best === undefined) {
      refused.push({ job, reasons })
      continue
    }
    const gpus = freeGpus(best).slice(0, job.resources.gpus)
    placements.push({ job, machine: best.name, gpus })
    const { cpus, memoryBytes } = job.resources
    machines.set(best.name, { ...best, held: totalHeld([best.held, { cpus, memoryBytes, gpus }]) })
  }
  return { placements, refused }
}

/** Every reason why the job is not placed now; empty for machines that would take it. */
export function refusals(job: WaitingJob, snapshot: Snapshot): readonly Refusal[] {
  const worker = snapshot.workers.get(job.worker)
  if (!worker)
    return [{ machine: null, reason: `the leader (${snapshot.leader}) does not know the worker ${job.worker}` }]
  if (snapshot.machines.length === 0) return [{ machine: null, reason: 'no machine is configured' }]
  return snapshot.machines.flatMap((machine) => {
    const reason = notNow({ ...job, ...(worker.needs && { needs: worker.needs }) }, machine)
    return reason === null ? [] : [{ machine: machine.name, reason }]
  })
}

/**
 * Higher is better. GPU jobs fill a machine up (so that whole machines stay free for large ones), CPU jobs spread out and stay off
 * machines with GPUs. Equal scores keep the configured order.
 */
function score(job: WaitingJob, machine: MachineView): number {
  const { facts, held } = machine
  if (facts === null) return -Infinity
  if (job.resources.gpus > 0) return -freeGpus(machine).length
  return (facts.cpus - held.cpus) / facts.cpus - (facts.gpus.length > 0 ? 1 : 0)
}
