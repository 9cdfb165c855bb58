/** Machines in words: a row of the list, what is wrong with one and how to mend it, and the long form of a look at one. */
import { formatDuration, formatSize } from '@muster/core'
import { drainText, factsOf, probeOf, troubleText, type MachineLook, type MachineRecord } from '@muster/sdk'
import { sanitize } from './sanitize.js'
import { oneLine } from './table.js'

/** The columns of the list. */
export const HEADER = ['MACHINE', 'STATE', 'CPUS', 'MEMORY', 'GPUS', 'DISK', 'SEEN', 'WHY']

/** A machine as a row of the list; undefined: nobody has looked at it yet. */
export function machineRow(name: string, record: MachineRecord | undefined, now: number): string[] {
  if (!record) return [name, '-', '-', '-', '-', '-', 'never', '']
  const facts = factsOf(record)
  const probe = probeOf(record)
  const free = probe?.disk.freeBytes ?? null
  const has = facts
    ? [String(facts.cpus), formatSize(facts.memoryBytes), gpusText(facts.gpus), free === null ? '?' : formatSize(free)]
    : ['-', '-', '-', '-']
  return [name, record.state, ...has, seenText(record, now), clean(whyText(record, now))]
}

/** What mends it, a line for each thing that is wrong. */
export function troubleLines(record: MachineRecord): string[] {
  const problems = record.trouble ? [] : (probeOf(record)?.problems ?? [])
  return [...(record.trouble ? [`hint: ${clean(record.trouble.hint)}`] : []), ...problems.map(problemLine)]
}

/** The long form of a look. */
export function lookLines({ name, facts, probe }: MachineLook, destination: string | null): string[] {
  const { disk, tree, maxSessions } = probe
  const rows: (readonly [string, string])[] = [
    ['system', `${probe.os} ${probe.arch}, as ${probe.user} on ${probe.hostname}`],
    ['cpus', `${facts.cpus}${facts.cpus === probe.cpus ? '' : ` of ${probe.cpus}`}`],
    ['memory', formatSize(facts.memoryBytes)],
    ['gpus', gpusText(facts.gpus)],
    ['disk', `${disk.freeBytes === null ? '?' : formatSize(disk.freeBytes)} free on ${disk.fileSystem}`],
    ['state', probe.stateDir],
    ['git', probe.gitVersion ?? 'not there'],
    ['shell', `${probe.shell}, processes found by ${tree}`],
    ...(maxSessions === null ? [] : [['sessions', `${maxSessions} a connection`] as const]),
    ...(Math.abs(probe.clockSkewMs) < 1_000 ? [] : [['clock', skewText(probe.clockSkewMs)] as const]),
  ]
  const head = destination === null ? name : `${name}  ${destination}`
  const problems = probe.problems.map(problemLine)
  return [
    head,
    ...rows.map(([label, text]) => `  ${label.padEnd(8)}  ${clean(text)}`),
    ...problems.map((p) => `  ${p}`),
  ]
}

/** `H100 × 2`, by model; `-` where there is none. */
export function gpusText(gpus: readonly { readonly model: string }[]): string {
  const models = [...new Set(gpus.map(({ model }) => model))]
  const counts = models.map((model) => `${clean(model)} × ${gpus.filter((gpu) => gpu.model === model).length}`)
  return counts.length === 0 ? '-' : counts.join(', ')
}

function problemLine({ text, mend, fatal }: { text: string; mend: string; fatal: boolean }): string {
  return `${fatal ? 'unusable' : 'lacks'}: ${clean(text)}; mend it there: ${clean(mend)}`
}

function whyText(record: MachineRecord, now: number): string {
  const { drain, trouble, reason } = record
  const quarantined = Object.entries(record.quarantined).map(([gpu, why]) => `${gpu} quarantined: ${why.reason}`)
  const silent = trouble ? troubleText(trouble, now) : (reason ?? '')
  return [drain ? drainText(drain, now) : '', silent, ...quarantined].filter((text) => text !== '').join('; ')
}

/** When it was last heard of. */
function seenText(record: MachineRecord, now: number): string {
  const at = record.trouble?.since ?? record.updatedAt
  return factsOf(record) ? `${formatDuration(Math.max(0, now - at))} ago` : 'never'
}

function skewText(ms: number): string {
  return `${formatDuration(Math.abs(ms))} ${ms > 0 ? 'ahead of' : 'behind'} ours`
}

/** What a machine says of itself is hostile on a terminal. */
function clean(text: string): string {
  return sanitize(oneLine(text), false)
}
