/**
 * Filters: why a job cannot go to a machine. Each looks at one thing and returns its reason in words, or null.
 * `never` filters judge what the machine is, `now` filters what is free of it at this moment.
 */
import { formatSize, type MachineTool, type Worker } from '@muster/core'
import type { WaitingJob } from '@muster/job-manager'
import type { MachineFacts, MachineView } from './snapshot.js'

/** What a filter reads of a job. */
export type Demand = Pick<WaitingJob, 'resources' | 'machine' | 'machineLabels'> & Pick<Worker, 'needs'>

/** Why the job could never run on the machine as it is, or null. */
export function neverFits(job: Demand, name: string, facts: MachineFacts): string | null {
  return wrongName(job, name) ?? wrongLabels(job, facts) ?? lacksTool(job, facts) ?? tooSmall(job, facts)
}

/** Why the job cannot be placed on the machine now, or null. */
export function notNow(job: Demand, machine: MachineView): string | null {
  const { facts } = machine
  const name = wrongName(job, machine.name)
  if (name !== null) return name
  if (facts === null) return machine.closed ?? 'not probed yet'
  return neverFits(job, machine.name, facts) ?? machine.closed ?? tooBusy(job, machine, facts)
}

/** The GPUs of a machine that may be handed out now. */
export function freeGpus(machine: MachineView): readonly string[] {
  const gpus = machine.facts?.gpus ?? []
  const taken = (uuid: string): boolean => machine.held.gpus.includes(uuid) || uuid in machine.quarantined
  return gpus.filter((gpu) => !taken(gpu.uuid) && gpu.busyWith.length === 0).map((gpu) => gpu.uuid)
}

function wrongName(job: Demand, name: string): string | null {
  return job.machine !== undefined && job.machine !== name ? `the job asks for ${job.machine}` : null
}

function wrongLabels(job: Demand, facts: MachineFacts): string | null {
  const missing = Object.entries(job.machineLabels).find(([label, value]) => facts.labels[label] !== value)
  return missing ? `lacks the label ${missing[0]}=${missing[1]}` : null
}

const MENDS: Readonly<Record<MachineTool, string>> = { git: 'has no git 2.31 or newer: apt-get install git' }

function lacksTool({ needs = [] }: Demand, { tools }: MachineFacts): string | null {
  const missing = needs.find((tool) => !tools.includes(tool))
  return missing === undefined ? null : MENDS[missing]
}

function tooSmall({ resources }: Demand, facts: MachineFacts): string | null {
  if (resources.cpus > facts.cpus) return `has ${facts.cpus} CPUs, the job asks for ${resources.cpus}`
  if (resources.memoryBytes > facts.memoryBytes)
    return `has ${formatSize(facts.memoryBytes)} of memory, the job asks for ${formatSize(resources.memoryBytes)}`
  if (resources.gpus > facts.gpus.length) return `has ${facts.gpus.length} GPUs, the job asks for ${resources.gpus}`
  return null
}

function tooBusy({ resources }: Demand, machine: MachineView, facts: MachineFacts): string | null {
  const cpus = facts.cpus - machine.held.cpus
  if (resources.cpus > cpus) return `${trim(cpus)} of ${facts.cpus} CPUs free, the job asks for ${resources.cpus}`
  const memory = facts.memoryBytes - machine.held.memoryBytes
  if (resources.memoryBytes > memory)
    return `${formatSize(Math.max(0, memory))} of memory free, the job asks for ${formatSize(resources.memoryBytes)}`
  const free = freeGpus(machine).length
  if (resources.gpus > free) return `${free} of ${facts.gpus.length} GPUs free${gpuTrouble(machine)}`
  return null
}

function gpuTrouble(machine: MachineView): string {
  const quarantined = Object.keys(machine.quarantined).length
  const strangers = (machine.facts?.gpus ?? []).filter((gpu) => gpu.busyWith.length > 0).length
  const parts = [
    quarantined > 0 ? `${quarantined} in quarantine` : '',
    strangers > 0 ? `${strangers} used by others` : '',
  ]
  const text = parts.filter((part) => part !== '').join(', ')
  return text === '' ? '' : ` (${text})`
}

function trim(value: number): number {
  return Math.max(0, Math.round(value * 100) / 100)
}
