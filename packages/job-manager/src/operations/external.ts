/** The status of a job that runs elsewhere: its owner reports it, and the record walks the table to it in one write. */
import {
  MusterError,
  nextState,
  shortestPath,
  type AttemptReason,
  type JobEvent,
  type JobReason,
  type JobState,
} from '@muster/core'
import { uuid, values, type JobRow, type Row } from '../sql/rows.js'
import {
  CLEAN,
  load,
  loadAttempt,
  record,
  save,
  saveAttempt,
  stateName,
  stateNumber,
  type Steps,
  type Tx,
} from './operation.js'

/** What the caller knows of the end: `result` is JSON text of a StoredResult. */
export type StatusArgs = readonly [
  id: string,
  status: JobState,
  token: string,
  actor: string,
  reason: AttemptReason | JobReason | null,
  exitCode: number | null,
  signal: string | null,
  result: string | null,
  message: string | null,
]

/** Where an external job's attempts are said to run. */
const ELSEWHERE = 'external'

/** Walks an external job to `status` by the shortest way, one event for each edge. The same status changes nothing. */
export function* setStatus(tx: Tx, ...args: StatusArgs): Steps<Row> {
  const [id, status] = args
  let job = yield* load(id)
  if (!job.external)
    throw new MusterError('MANAGED_BY_CLUSTER', `job ${id} belongs to a cluster, which alone reports its status`, {
      details: { id: uuid(job.id) },
    })
  const from = stateName(job.state)
  const path = shortestPath(from, status)
  // An ended job runs again only when somebody says so: a late report must not revive it.
  if (!path || path.includes('restart'))
    throw new MusterError('ILLEGAL_TRANSITION', `job ${id} is ${from}: there is no way to ${status} but a restart`, {
      details: { id: uuid(job.id), from, to: status },
    })
  for (const event of path) job = yield* step(tx, job, event, args)
  return values(job)
}

function* step(tx: Tx, was: JobRow, event: JobEvent, args: StatusArgs): Steps<JobRow> {
  const [, , token, actor, givenReason, exitCode, signal, result, message] = args
  const state = nextState(stateName(was.state), event)
  if (!state) throw new MusterError('ILLEGAL_TRANSITION', `no ${event} from ${stateName(was.state)}`)
  const reason =
    event === 'fail' || event === 'retry' ? (givenReason ?? 'exit') : event === 'cancel' ? 'cancelled' : null
  const ends = event === 'succeed' || event === 'fail' || event === 'cancel'
  const places = event === 'place'
  const job = yield* save(tx, was, {
    state: stateNumber(state),
    reason,
    ...(places && { ...CLEAN, attempt: was.attempt + 1, machine: ELSEWHERE }),
    ...(event === 'start' && { started: tx.now }),
    ...(ends && { ended: tx.now, exit_code: exitCode, signal, result }),
  })
  if (places) yield ['insertAttempt', [job.n, job.attempt, token, 0, 0, ELSEWHERE, null, tx.now]]
  else yield* followAttempt(tx, job, event, reason, exitCode, signal)
  const data = {
    ...((places || event === 'start') && { machine: ELSEWHERE }),
    ...(reason !== null && event !== 'cancel' && { reason }),
    ...(ends && exitCode !== null && { exitCode }),
    ...(ends && message !== null && { text: message }),
  }
  record(tx, job, { action: event, actor, attempt: job.attempt, data })
  return job
}

function* followAttempt(
  tx: Tx,
  job: JobRow,
  event: JobEvent,
  reason: string | null,
  exitCode: number | null,
  signal: string | null,
): Steps<void> {
  const attempt = job.attempt > 0 ? yield* loadAttempt(job.n, job.attempt) : undefined
  if (!attempt || attempt.ended !== null) return
  if (event === 'start') yield* saveAttempt(attempt, { started: tx.now })
  const outcome = event === 'succeed' ? 'succeeded' : event === 'release' ? 'released' : reason
  if (['succeed', 'fail', 'cancel', 'retry', 'release'].includes(event))
    yield* saveAttempt(attempt, { ended: tx.now, outcome, exit_code: exitCode, signal })
}
