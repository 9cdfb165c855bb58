/** The long form of a job: labelled facts, then its attempts, then what happened, oldest first. */
import { formatDuration, formatSize } from '@muster/core'
import type { AttemptRecord, JobEventRecord, JobRecord } from '@muster/sdk'
import type { Io } from '../io.js'
import { commandOf, elapsed, inColour, outcome, stateText } from './job.js'
import { sanitize } from './sanitize.js'
import { oneLine, table } from './table.js'

/** What is shown. */
export interface Details {
  readonly record: JobRecord
  readonly attempts: readonly AttemptRecord[]
  readonly events: readonly JobEventRecord[]
  /** Why the job is where it is. */
  readonly sentence: string
  /** The directory of its collected files. */
  readonly files: string
}

/** The lines of the long form. */
export function details({ record, attempts, events, sentence, files }: Details, io: Io): string[] {
  const { bold, dim } = io.outColors
  const facts = [...basics(record, sentence, io), ...outcomeFacts(record, attempts, files)]
  const width = Math.max(...facts.map(([label]) => label.length))
  return [
    ...facts.map(([label, value]) => `${dim(label.padEnd(width))}  ${value}`),
    ...(attempts.length === 0 ? [] : ['', bold('attempts'), ...attemptTable(attempts, io.width)]),
    '',
    bold('events'),
    ...events.map((event) => `  ${dim(clock(event.at))}  ${sanitize(oneLine(event.sentence), false)}`),
  ]
}

type Fact = readonly [label: string, value: string]

function basics(job: JobRecord, sentence: string, io: Io): Fact[] {
  const { spec } = job
  const labels = Object.entries(job.labels).map(([name, value]) => `${name}=${value}`)
  return [
    ['id', job.id],
    ['state', inColour(io.outColors, job.state, stateText(job))],
    ['why', sanitize(oneLine(sentence), false)],
    ['command', sanitize(commandOf(job), false)],
    ['worker', `${spec.worker}${source(job)}`],
    ['owner', job.owner],
    ['queue', `${job.queue}, priority ${job.priority}`],
    ...(spec.key === undefined ? [] : [['key', oneLine(spec.key)] as const]),
    ...(labels.length === 0 ? [] : [['labels', oneLine(labels.join(' '))] as const]),
    ['asks for', demand(job)],
    ['submitted', stamp(job.createdAt)],
    ...(job.startedAt === null
      ? []
      : [
          [
            'started',
            `${stamp(job.startedAt)}, after ${formatDuration(Math.max(0, job.startedAt - job.createdAt))}`,
          ] as const,
        ]),
    ...(job.endedAt === null ? [] : [['ended', stamp(job.endedAt)] as const]),
    ['time', elapsed(job, io.clock.now())],
  ]
}

function outcomeFacts(job: JobRecord, attempts: readonly AttemptRecord[], files: string): Fact[] {
  const { result } = job
  const last = attempts.findLast((attempt) => attempt.files !== null)
  const text = attempts.at(-1)?.detail['text']
  return [
    ...(job.exitCode === null && job.reason === null ? [] : [['outcome', outcome(job)] as const]),
    ...(typeof text === 'string' && job.reason !== null ? [['detail', sanitize(oneLine(text), false)] as const] : []),
    ...(result === null ? [] : [['result', resultText(result)] as const]),
    ...(last
      ? [
          ['log', `${files}/${last.number}/log`] as const,
          ['artifacts', `${files}/${last.number}/artifacts`] as const,
          ...(last.files?.host === undefined ? [] : [['kept on', last.files.host] as const]),
        ]
      : []),
  ]
}

function resultText(result: NonNullable<JobRecord['result']>): string {
  if ('value' in result) return JSON.stringify(result.value).slice(0, 500)
  if ('note' in result) return `none: ${oneLine(result.note.message)} [${result.note.code}]`
  return `${formatSize(result.file.bytes)} of JSON, sha256 ${result.file.digest.slice(0, 12)}, on ${result.file.host}`
}

/** The commit of a git job, from what its worker recorded. */
function source({ payload }: JobRecord): string {
  if (typeof payload !== 'object' || payload === null || !('commit' in payload) || !('repo' in payload)) return ''
  const { repo, commit } = payload
  return typeof repo === 'string' && typeof commit === 'string' ? `, ${oneLine(repo)} at ${commit.slice(0, 12)}` : ''
}

function demand({ spec: { resources, machine, timeoutMs } }: JobRecord): string {
  const parts = [
    `${resources.cpus} cpu`,
    resources.memoryBytes > 0 ? formatSize(resources.memoryBytes) : '',
    resources.gpus > 0 ? `${resources.gpus} gpu` : '',
    machine === undefined ? '' : `machine ${machine}`,
    timeoutMs === undefined ? '' : `at most ${formatDuration(timeoutMs)}`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

function attemptTable(attempts: readonly AttemptRecord[], width: number): string[] {
  const rows = attempts.map((attempt) => [
    String(attempt.number),
    attempt.machine,
    attempt.startedAt === null ? '-' : clock(attempt.startedAt),
    attempt.startedAt === null || attempt.endedAt === null ? '-' : formatDuration(attempt.endedAt - attempt.startedAt),
    attempt.tree ?? '-',
    `${attempt.outcome ?? 'open'}${attempt.exitCode === null ? '' : ` ${attempt.exitCode}`}${attempt.signal === null ? '' : ` ${attempt.signal}`}`,
  ])
  return table([['#', 'MACHINE', 'STARTED', 'TOOK', 'TREE', 'OUTCOME'], ...rows], width).map((line) => `  ${line}`)
}

function stamp(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC')
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 23)
}
