/** An attempt's life while it runs: place opens it, start confirms it, release gives it back. All fenced by the epoch. */
import { LAUNCH_FAILURES_MAX, MusterError, type Action, type EventData, type JobState } from '@muster/core'
import { uuid, values, type AttemptRow, type JobRow, type Row } from '../sql/rows.js'
import {
  both,
  CLEAN,
  conflict,
  fence,
  load,
  loadAttempt,
  packed,
  record,
  save,
  saveAttempt,
  stateName,
  stateNumber,
  type Refusal,
  type Steps,
  type Tx,
} from './operation.js'
import { refuseDrained } from './drain.js'
import { refusePaused } from './pause.js'
import { endWaiting, fulfilWishes } from './wish.js'

/** A job whose attempt proved itself. */
export interface Proven {
  readonly job: JobRow
  readonly attempt: AttemptRow
}

/**
 * queued -> scheduled. A job that was placed three times in a row without a start being recorded, each time by a scheduler
 * that did not live to give it back, is not placed a fourth time: it fails, so that it does not kill every controller in turn.
 */
export function* place(
  tx: Tx,
  epoch: number,
  id: string,
  machine: string,
  gpus: string | null,
  token: string,
  actor: string,
): Steps<Row | Refusal> {
  yield* fence(tx, epoch)
  const was = yield* load(id)
  if (stateName(was.state) !== 'queued') throw yield* conflict(was, `job ${uuid(was.id)} cannot be placed`)
  if (was.external) throw new MusterError('INVALID_ARGUMENT', `job ${uuid(was.id)} is external: nobody places it`)
  yield* refuseDrained(tx, machine)
  yield* refusePaused(tx, was.queue)
  if (was.unstarted >= LAUNCH_FAILURES_MAX) {
    const job = yield* endWaiting(tx, was, 'failed', actor, 'launch-failed', { text: KILLS })
    return { code: 'JOB_STATE_CONFLICT', message: `job ${uuid(job.id)}: ${KILLS}`, details: { state: 'failed' } }
  }
  const job = yield* save(tx, was, {
    state: stateNumber('scheduled'),
    attempt: was.attempt + 1,
    unstarted: was.unstarted + 1,
    machine,
    ...CLEAN,
  })
  yield ['insertAttempt', [job.n, job.attempt, token, epoch, 1, machine, gpus, tx.now]]
  record(tx, job, { action: 'place', actor, attempt: job.attempt, data: placed(machine, gpus) })
  const attempt = yield* loadAttempt(job.n, job.attempt)
  if (!attempt) throw new MusterError('STORE_FAILED', `attempt ${job.attempt} of ${uuid(job.id)} was not written`)
  return both(job, attempt)
}

const KILLS = `placed ${LAUNCH_FAILURES_MAX} times, and each time the controller ended before the start`

function placed(machine: string, gpus: string | null): EventData {
  return { machine, ...(gpus !== null && { gpus: JSON.parse(gpus) as string[] }) }
}

/** scheduled -> running. `startedAt` is the machine's, by our clock. */
export function* start(
  tx: Tx,
  epoch: number,
  id: string,
  no: number,
  token: string,
  tree: string,
  startedAt: number | null,
  skewMs: number | null,
  actor: string,
): Steps<Row | Refusal> {
  yield* fence(tx, epoch)
  const proven = yield* proof(tx, id, no, token, ['scheduled'], { action: 'start', actor })
  if ('code' in proven) return proven
  const started = startedAt ?? tx.now
  const job = yield* save(tx, proven.job, { state: stateNumber('running'), unstarted: 0, started })
  yield* saveAttempt(proven.attempt, { tree, started })
  const data = { machine: proven.attempt.machine, ...(skewMs !== null && { skewMs }) }
  record(tx, job, { action: 'start', actor, attempt: no, data, happened: startedAt })
  return values(job)
}

/** scheduled -> queued: nothing was sent, or the machine confirmed that nothing started. Under a wish to cancel: cancelled. */
export function* release(
  tx: Tx,
  epoch: number,
  id: string,
  no: number,
  token: string,
  reason: string,
  actor: string,
): Steps<Row | Refusal> {
  yield* fence(tx, epoch)
  const proven = yield* proof(tx, id, no, token, ['scheduled'], { action: 'release', actor })
  if ('code' in proven) return proven
  const { job: was, attempt } = proven
  yield* saveAttempt(attempt, { open: 0, ended: tx.now, outcome: 'released', detail: packed({ text: reason }) })
  // Whoever placed it lived to give it back: that placement does not count towards the limit of place().
  const unstarted = attempt.epoch === epoch ? Math.max(0, was.unstarted - 1) : was.unstarted
  record(tx, was, { action: 'release', actor, attempt: no, data: { reason } })
  const wished = yield* fulfilWishes(tx, was)
  if (wished) return values(yield* endWaiting(tx, was, 'cancelled', actor, 'cancelled', { reason: wished }))
  if (unstarted >= LAUNCH_FAILURES_MAX)
    return values(yield* endWaiting(tx, { ...was, unstarted }, 'failed', actor, 'launch-failed', { text: KILLS }))
  const job = yield* save(tx, was, { state: stateNumber('queued'), reason: 'released', unstarted })
  return values(job)
}

/**
 * Loads the job and the attempt that a report speaks of. A report of another attempt than the current one, or with another
 * token, is kept as an event and refused; one that comes too late for the state throws JOB_STATE_CONFLICT.
 */
export function* proof(
  tx: Tx,
  id: string,
  no: number,
  token: string,
  states: readonly JobState[],
  report: { readonly action: Action; readonly actor: string; readonly data?: EventData },
): Steps<Proven | Refusal> {
  const job = yield* load(id)
  const attempt = yield* loadAttempt(job.n, no)
  if (attempt?.token !== token || no !== job.attempt) {
    const { action, actor, data } = report
    const facts = {
      ...data,
      report: action,
      text: `${action} of attempt ${no} while attempt ${job.attempt} is current`,
    }
    record(tx, job, { action: 'report-refused', actor, attempt: no, data: facts })
    return {
      code: 'ATTEMPT_SUPERSEDED',
      message: `job ${uuid(job.id)}: the report of attempt ${no} does not belong to attempt ${job.attempt}, which is current`,
      details: { attempt: no, current: job.attempt },
    }
  }
  if (!states.includes(stateName(job.state)))
    throw yield* conflict(job, `job ${uuid(job.id)}: ${report.action} comes too late`)
  return { job, attempt }
}
