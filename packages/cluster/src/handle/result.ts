/** What a job came to: its result where it completed, and otherwise an error that says why in words a person can use. */
import { formatDuration, MusterError, type ErrorCode, type JsonValue } from '@muster/core'
import type { AttemptRecord, JobRecord } from '@muster/job-manager'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resultPath } from '../leader/ending.js'
import type { HandleDeps } from './deps.js'
import { isMissing } from './files.js'

/** Lines of the log that an error's message quotes. */
const SHOWN_LINES = 5

/** The result of a job that completed. */
export interface JobResult {
  readonly id: string
  readonly state: 'completed'
  readonly exitCode: number | null
  /** What the job wrote to MUSTER_RESULT, or null where it wrote nothing usable (then `note` says why, if there is a why). */
  readonly output: JsonValue
  /** Why there is no output although the job completed. */
  readonly note?: { readonly code: string; readonly message: string }
  readonly attempt: number
  readonly machine: string | null
  /** Epoch milliseconds. */
  readonly startedAt: number | null
  readonly endedAt: number | null
}

/** The error of `result()`: JOB_FAILED or JOB_CANCELLED, with what is known of the end in `details`. */
export class JobError extends MusterError {
  override readonly name = 'JobError'
  declare readonly details: Readonly<{
    jobId: string
    state: JobRecord['state']
    reason: JobRecord['reason']
    exitCode: number | null
    signal: string | null
    attempt: number
    machine: string | null
    lastLines: readonly string[]
  }>

  constructor(code: Extract<ErrorCode, 'JOB_FAILED' | 'JOB_CANCELLED'>, job: JobRecord, why: string, lines: string[]) {
    const quoted = lines.length === 0 ? '' : `; its last lines:\n${lines.map((line) => `  ${line}`).join('\n')}`
    const verb = code === 'JOB_FAILED' ? 'failed' : 'was cancelled'
    const { id, state, reason, exitCode, signal, attempt, machine } = job
    super(code, `job ${id} ${verb}: ${why}${quoted}`, {
      hint:
        code === 'JOB_FAILED' ? `Read its lines with: muster logs ${id}` : `Run it again with: muster restart ${id}`,
      details: { jobId: id, state, reason, exitCode, signal, attempt, machine, lastLines: lines },
    })
  }
}

/** The result of an ended job. Throws {@link JobError} unless it completed, and FILE_ELSEWHERE or FILE_MISSING. */
export async function jobResult(deps: HandleDeps, job: JobRecord): Promise<JobResult> {
  const { id, state, exitCode, attempt, machine, startedAt, endedAt } = job
  if (state !== 'completed') throw await jobError(deps, job)
  return { id, state, exitCode, attempt, machine, startedAt, endedAt, ...(await output(deps, job)) }
}

async function output(deps: HandleDeps, { id, result }: JobRecord): Promise<Pick<JobResult, 'output' | 'note'>> {
  if (result === null) return { output: null }
  if ('value' in result) return { output: result.value }
  if ('note' in result) return { output: null, note: result.note }
  const bytes = await readResult(deps, id, result.file)
  return { output: JSON.parse(bytes.toString('utf8')) as JsonValue }
}

/** A result above 64 KiB, from its file; only the bytes that the record names by their digest are taken. */
async function readResult(deps: HandleDeps, id: string, file: { digest: string; host: string }): Promise<Buffer> {
  const path = resultPath(deps.filesDirectory, file.digest)
  const bytes = await readFile(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error
    if (file.host === deps.host) throw new MusterError('FILE_MISSING', `the result of job ${id} should be ${path}`)
    throw new MusterError('FILE_ELSEWHERE', `the result of job ${id} lies on ${file.host}`, { details: { ...file } })
  })
  if (createHash('sha256').update(bytes).digest('hex') === file.digest) return bytes
  throw new MusterError('FILE_MISSING', `${path} was changed: it is not the result that job ${id} left`)
}

async function jobError(deps: HandleDeps, job: JobRecord): Promise<JobError> {
  if (job.state === 'cancelled') return new JobError('JOB_CANCELLED', job, await whyCancelled(deps, job), [])
  const attempt = (await deps.store.attempts(job.id)).find(({ number }) => number === job.attempt)
  return new JobError('JOB_FAILED', job, whyFailed(job, attempt), lastLines(attempt).slice(-SHOWN_LINES))
}

/** The last lines of the log that the end of an attempt recorded. */
function lastLines(attempt: AttemptRecord | undefined): string[] {
  const lines = attempt?.detail['lastLines']
  return Array.isArray(lines) ? lines.filter((line): line is string => typeof line === 'string') : []
}

/** Why a job failed, as the end of a sentence: `the command exited with 3 (attempt 1 on gpu1)`. */
function whyFailed(job: JobRecord, attempt: AttemptRecord | undefined): string {
  const text = typeof attempt?.detail['text'] === 'string' ? `: ${attempt.detail['text']}` : ''
  const where = job.attempt === 0 ? '' : ` (attempt ${job.attempt} on ${job.machine ?? 'no machine'})`
  return `${reasonInWords(job)}${text}${where}`
}

function reasonInWords({ reason, exitCode, signal, spec }: JobRecord): string {
  switch (reason) {
    case 'exit':
      return `the command exited with ${exitCode ?? 'an unknown code'}`
    case 'signal':
      return `the command was killed by ${signal ?? 'a signal'}`
    case 'oom':
      return 'the command ran out of memory'
    case 'timeout':
      return `it ran longer than its timeout${spec.timeoutMs === undefined ? '' : ` of ${formatDuration(spec.timeoutMs)}`}`
    case 'setup-failed':
      return 'its setup failed'
    case 'launch-failed':
      return 'it could not be started'
    case 'machine-lost':
      return 'its machine was lost'
    case null:
      return 'no reason is recorded'
    default:
      return reason
  }
}

async function whyCancelled(deps: HandleDeps, job: JobRecord): Promise<string> {
  const events = await deps.store.history(job.id)
  const last = events.findLast(({ action }) => action === 'cancel-requested' || action === 'cancel')
  const wish = events.findLast(({ action }) => action === 'cancel-requested') ?? last
  const reason = wish?.data['reason']
  return `by ${wish?.actor ?? 'somebody'}${typeof reason === 'string' && reason !== '' ? `, ${reason}` : ''}`
}
