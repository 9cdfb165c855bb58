/**
 * What an operation is, and the verbs that all of them share.
 *
 * An operation is a generator that yields statements by name and receives their rows: the same code runs synchronously beside
 * SQLite and asynchronously against a server. It is deterministic in its arguments, the record and `tx.now`, because a driver
 * may run it again. Invariant: it judges first and writes afterwards; what it throws before its first write harms nobody
 * in its group, what it throws later is undone alone.
 */
import {
  ACTIONS,
  isJobId,
  JOB_EVENTS,
  JOB_STATES,
  LIVE_STATES,
  MusterError,
  TERMINAL_STATES,
  type Action,
  type ErrorCode,
  type EventData,
  type JobState,
  type JsonValue,
} from '@muster/core'
import { uuid, attemptRow, jobRow, values, type AttemptRow, type JobRow, type Row, type SqlValue } from '../sql/rows.js'
import { ATTEMPT_CHANGES, JOB_CHANGES, type StatementName } from '../sql/statements.js'

/** A statement to execute, with its parameters. */
export type Call = readonly [StatementName, readonly SqlValue[]]
/** The steps of an operation. */
export type Steps<T> = Generator<Call, T, readonly Row[]>
/** What an operation answers: something that crosses threads cheaply. */
export type Reply = SqlValue | Refusal | readonly Reply[]

/** An answer that is an error, although what was written before it stays (a stored report, say). */
export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
  readonly details: Readonly<Record<string, JsonValue>>
}

/** The transaction that an operation is part of; operations of one group share it. */
export interface Tx {
  /** The store's clock, read once, epoch milliseconds. */
  readonly now: number
  /** What was read once for the whole group. */
  readonly memo: Map<string, number>
  /** Sums a change of a counter, written once at the commit. */
  count(state: number, worker: string, change: number): void
  /** Appends an event's row for the job with this id (32 hex digits), written in this order before the commit. */
  append(id: string, event: Row): void
}

/** The number that stands for a state in SQL. */
export const stateNumber = (state: JobState): number => JOB_STATES.indexOf(state)
/** The state that a number stands for. */
export const stateName = (number: number): JobState => JOB_STATES[number] ?? 'pending'
/** Whether the number stands for a terminal state. */
export const isEnded = (number: number): boolean => (TERMINAL_STATES as readonly JobState[]).includes(stateName(number))

/** Whether the number stands for a state in which an attempt is open. */
export const isLive = (number: number): boolean => (LIVE_STATES as readonly JobState[]).includes(stateName(number))
/** What an attempt starts without. */
export const CLEAN = { exit_code: null, signal: null, progress: null, run_at: null, started: null } as const

/** A job by id or second name. Throws JOB_NOT_FOUND. */
export function* load(id: string): Steps<JobRow> {
  const [row] = yield isJobId(id) ? ['jobById', [id.replaceAll('-', '')]] : ['jobByName', [id]]
  if (!row) throw new MusterError('JOB_NOT_FOUND', `no job ${JSON.stringify(id)} in the record`, { details: { id } })
  return jobRow(row)
}

/** One attempt, undefined where the job has none of that number. */
export function* loadAttempt(job: number, no: number): Steps<AttemptRow | undefined> {
  const [row] = yield ['attempt', [job, no]]
  return row && attemptRow(row)
}

/**
 * Writes a job's changed members on the condition that it is still as it was loaded, moves its counter and its labels, and
 * gives the row. Throws JOB_STATE_CONFLICT when somebody was first.
 */
export function* save(tx: Tx, was: JobRow, change: Partial<JobRow>): Steps<JobRow> {
  const job: JobRow = { ...was, ...change, updated: tx.now }
  const changes = JOB_CHANGES.map((name) => job[name as keyof JobRow])
  const saved = yield ['saveJob', [...changes, was.n, was.state, was.attempt]]
  if (saved.length === 0) throw yield* conflict(was, `job ${uuid(was.id)} was changed by somebody else`)
  if (job.state === was.state) return job
  tx.count(was.state, job.worker, -1)
  tx.count(job.state, job.worker, 1)
  const [from, to] = [isEnded(was.state) ? was.state : 0, isEnded(job.state) ? job.state : 0]
  if (job.labels !== null && from !== to) yield ['saveLabels', [to, job.n]]
  return job
}

/** Writes an attempt's changed members. */
export function* saveAttempt(was: AttemptRow, change: Partial<AttemptRow>): Steps<AttemptRow> {
  const attempt: AttemptRow = { ...was, ...change }
  yield ['saveAttempt', [...ATTEMPT_CHANGES.map((name) => attempt[name as keyof AttemptRow]), attempt.job, attempt.no]]
  return attempt
}

/** Where the action stands in an event's row. */
export const EVENT_ACTION = 2

/** Appends an event of a job. It is written with those of the whole group, before the commit. */
export function record(
  tx: Tx,
  job: Pick<JobRow, 'n' | 'id'>,
  event: {
    readonly action: Action
    readonly actor: string
    readonly attempt: number
    readonly data?: EventData
    readonly happened?: number | null
  },
): void {
  const { action, actor, attempt, data = {}, happened = null } = event
  if (!Number.isInteger(attempt))
    throw new MusterError('INVALID_ARGUMENT', `attempt: expected a number, got ${attempt}`)
  const time = happened === null ? null : Math.round(happened)
  tx.append(job.id, [job.n, attempt, ACTIONS.indexOf(action), actor, tx.now, time, packed(data)])
}

/** Refuses the write of a scheduler that does not lead (any more). */
export function* fence(tx: Tx, epoch: number): Steps<void> {
  let current = tx.memo.get('epoch')
  if (current === undefined) {
    const [row] = yield ['epoch', []]
    current = Number(row?.[0] ?? -1)
    tx.memo.set('epoch', current)
  }
  if (current !== epoch)
    throw new MusterError('SCHEDULER_SUPERSEDED', `epoch ${epoch} does not lead this record`, {
      details: { epoch, current },
    })
}

/** The error for a job that is not in the state a change expects: says which state, and who moved it last. */
export function* conflict(job: JobRow, message: string): Steps<MusterError> {
  const [last] = yield ['lastMove', [job.n, JOB_EVENTS.length]]
  const winner = last ? { action: ACTIONS[Number(last[0])] ?? null, actor: String(last[1]) } : {}
  const state = stateName(job.state)
  return new MusterError('JOB_STATE_CONFLICT', `${message}: it is ${state}`, {
    details: { id: uuid(job.id), state, attempt: job.attempt, ...winner },
  })
}

/** A job's row with the attempt that is current and its proof: `[job…, attempt…]` for the caller's thread. */
export const both = (job: JobRow, attempt: AttemptRow): Row => [...values(job), ...values(attempt)]

/** Structures as JSON text, NULL where there is nothing in them. */
export function packed(value: object | readonly unknown[]): string | null {
  return Object.keys(value).length === 0 ? null : JSON.stringify(value)
}

/** The structure of a JSON column, `{}` where it is NULL. */
export function unpacked(text: string | null): Record<string, JsonValue> {
  return text === null ? {} : (JSON.parse(text) as Record<string, JsonValue>)
}
