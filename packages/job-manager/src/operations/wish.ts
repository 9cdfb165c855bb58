/** What people ask of a job: cancel and restart. Where no machine is involved it is done at once; else it is a durable wish. */
import { MusterError, type EventData } from '@muster/core'
import { uuid, values, type JobRow, type Row } from '../sql/rows.js'
import {
  CLEAN,
  isEnded,
  isLive,
  load,
  loadAttempt,
  packed,
  record,
  save,
  saveAttempt,
  stateName,
  stateNumber,
  unpacked,
  type Refusal,
  type Steps,
  type Tx,
} from './operation.js'

/** What a cancel came to. */
type CancelOutcome = 'cancelled' | 'requested' | 'ended'

/** Cancels what waits and what is external; wishes it for what runs; leaves what has ended. Answers which, and the job. */
export function* cancel(tx: Tx, id: string, by: string, reason: string): Steps<readonly [CancelOutcome, Row]> {
  const was = yield* load(id)
  if (isEnded(was.state)) return ['ended', values(was)]
  const live = isLive(was.state)
  if (live && was.external) yield* closeExternal(tx, was, 'cancelled')
  if (!live || was.external) {
    const job = yield* endWaiting(tx, was, 'cancelled', by, 'cancelled', reason === '' ? {} : { reason })
    return ['cancelled', values(job)]
  }
  const conditions = unpacked(was.conditions)
  if ('cancelRequested' in conditions) return ['requested', values(was)]
  const cancelRequested = { at: tx.now, by, reason }
  const job = yield* save(tx, was, { conditions: packed({ ...conditions, cancelRequested }) })
  yield ['insertWish', [job.n, 'cancel', by, reason, tx.now]]
  const data: EventData = reason === '' ? {} : { reason }
  record(tx, job, { action: 'cancel-requested', actor: by, attempt: job.attempt, data })
  return ['requested', values(job)]
}

/** completed, failed, cancelled -> pending -> queued: the same job again, from its next attempt. */
export function* restart(tx: Tx, id: string, by: string, reason: string, force: number): Steps<Row | Refusal> {
  const was = yield* load(id)
  if (!isEnded(was.state))
    throw new MusterError(
      'ILLEGAL_TRANSITION',
      `job ${uuid(was.id)} is ${stateName(was.state)}: only an ended job restarts`,
      {
        details: { id: uuid(was.id), from: stateName(was.state), event: 'restart' },
      },
    )
  const [lingering] = yield ['notGone', [was.n]]
  if (lingering && !force)
    throw new MusterError(
      'ATTEMPT_UNCONFIRMED',
      `attempt ${String(lingering[0])} of job ${uuid(was.id)} may still run: its machine has not confirmed that it is gone`,
      { details: { id: uuid(was.id), attempt: Number(lingering[0]) } },
    )
  const { collecting } = unpacked(was.conditions)
  const pending = yield* save(tx, was, {
    ...CLEAN,
    state: stateNumber('pending'),
    reason: null,
    failures: 0,
    unstarted: 0,
    ended: null,
    result: null,
    machine: null,
    conditions: packed(collecting === undefined ? {} : { collecting }),
  })
  const data = { ...(reason !== '' && { reason }), ...(lingering && { forced: true }) }
  record(tx, pending, { action: 'restart', actor: by, attempt: was.attempt, data })
  const job = yield* save(tx, pending, { state: stateNumber('queued') })
  record(tx, job, { action: 'ready', actor: by, attempt: was.attempt })
  return values(job)
}

/** Ends a job in one write without (or after) an attempt: `failed` or `cancelled`, with its event. */
export function* endWaiting(
  tx: Tx,
  was: JobRow,
  state: 'failed' | 'cancelled',
  actor: string,
  reason: string,
  data: EventData,
): Steps<JobRow> {
  const conditions = unpacked(was.conditions)
  if (state === 'cancelled') delete conditions['cancelRequested']
  delete conditions['unconfirmedSince']
  const job = yield* save(tx, was, {
    state: stateNumber(state),
    reason,
    ended: tx.now,
    run_at: null,
    unstarted: was.unstarted,
    conditions: packed(conditions),
  })
  const attempt = isLive(was.state) ? was.attempt : 0
  const facts = state === 'failed' ? { reason, ...data } : data
  record(tx, job, { action: state === 'failed' ? 'fail' : 'cancel', actor, attempt, data: facts })
  return job
}

/** Marks a job's open wishes as carried out. Gives the reason of the wish, undefined where there was none. */
export function* fulfilWishes(tx: Tx, job: JobRow): Steps<string | undefined> {
  if (unpacked(job.conditions)['cancelRequested'] === undefined) return undefined
  const [wish] = yield ['wishDone', [tx.now, job.n]]
  const [by, reason] = [String(wish?.[0] ?? ''), String(wish?.[1] ?? '')]
  return reason === '' ? `asked by ${by}` : reason
}

/** Ends the attempt that an external job's status had opened. */
export function* closeExternal(tx: Tx, job: JobRow, outcome: string): Steps<void> {
  const attempt = yield* loadAttempt(job.n, job.attempt)
  if (attempt) yield* saveAttempt(attempt, { open: 0, ended: tx.now, outcome })
}
