/** A job, in the words of the terminal: one line, one JSON object, its command, its colour. */
import { formatDuration, isTerminal, type JobState } from '@muster/core'
import type { JobRecord } from '@muster/sdk'
import type { Colors } from '../io.js'
import { oneLine } from './table.js'

/** The object that `--json` prints for a job. Programs rely on `id state reason attempt machine exitCode conditions`. */
export function jobJson(job: JobRecord): Record<string, unknown> {
  const { id, state, reason, attempt, machine, exitCode, signal, conditions, progress } = job
  const { queue, owner, labels, priority, failures, createdAt, runAt, startedAt, endedAt } = job
  const basics = { type: 'job', id, state, reason, attempt, machine, exitCode, signal, conditions, progress }
  const rest = { queue, owner, labels, priority, failures, createdAt, runAt, startedAt, endedAt }
  return { ...basics, worker: job.spec.worker, ...rest, result: job.result }
}

/** What the job runs, on one line. */
export function commandOf({ spec: { input, worker } }: JobRecord): string {
  if (typeof input !== 'object' || input === null || !('run' in input)) return worker
  const { run } = input
  return oneLine(Array.isArray(run) ? run.join(' ') : typeof run === 'string' ? run : worker)
}

/** How long a job has been at it, or was: from its start, or from its submit while it waits. */
export function elapsed(job: JobRecord, now: number): string {
  const from = job.startedAt ?? job.createdAt
  const to = job.endedAt ?? (isTerminal(job.state) ? job.updatedAt : now)
  return formatDuration(Math.max(0, to - from))
}

/** The state with its conditions: `running, cancelling`. */
export function stateText({ state, conditions }: JobRecord): string {
  const ended = isTerminal(state)
  const facts = [
    conditions.cancelRequested && !ended ? 'cancelling' : '',
    conditions.unconfirmedSince !== undefined && !ended ? 'unconfirmed' : '',
    conditions.stuck ? 'stuck' : '',
    conditions.collecting ? 'collecting' : '',
  ]
  return [state, ...facts].filter((text) => text !== '').join(', ')
}

/** Colours a text by a job's state. */
export function inColour(colors: Colors, state: JobState, text: string): string {
  switch (state) {
    case 'completed':
      return colors.green(text)
    case 'failed':
      return colors.red(text)
    case 'cancelled':
      return colors.yellow(text)
    case 'running':
      return colors.cyan(text)
    default:
      return colors.dim(text)
  }
}

/** How a job ended, in a few words: `failed: exit 3`. */
export function outcome(job: JobRecord): string {
  const code = job.exitCode === null ? '' : ` ${job.exitCode}`
  const why =
    job.reason === 'signal' ? ` ${job.signal ?? ''}` : job.reason === 'exit' || job.state === 'completed' ? code : ''
  if (job.state === 'completed') return `completed${why === '' ? '' : `, exit${why}`}`
  return job.reason === null || job.reason === job.state ? job.state : `${job.state}: ${job.reason}${why}`
}

/** The exit code that `muster run` passes on: the job's, 128 + n for a signal, 1 where it ended without either. */
export function exitCodeOf(job: JobRecord, signals: Readonly<Record<string, number>>): number {
  if (job.state === 'completed') return job.exitCode ?? 0
  if (job.signal !== null) return 128 + (signals[`SIG${job.signal.replace(/^SIG/, '')}`] ?? 0)
  if (job.state === 'cancelled') return 130
  return job.exitCode === null || job.exitCode === 0 ? failedWithoutCode(job) : job.exitCode
}

/** As the shell and `timeout` have it: 124 for a timeout; otherwise muster's own 125. */
function failedWithoutCode({ reason }: JobRecord): number {
  return reason === 'timeout' ? 124 : 125
}
