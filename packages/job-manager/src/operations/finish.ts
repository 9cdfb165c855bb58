/**
 * The end of an attempt, in one write with its exit record and its result. The retry rule decides what follows; a wish to cancel
 * suppresses every retry, and the machine's word decides the race: what had ended by itself is completed or failed, and what would have
 * been repeated through no fault of its own (lost with its machine, preempted, not started) is cancelled: only the wish kept it from that.
 */
import {
  decideRetry,
  isTerminal,
  MusterError,
  nextState,
  RETRYABLE_REASONS,
  type AttemptOutcome,
  type EventData,
  type JobEvent,
  type JobSpec,
  type JobState,
} from '@muster/core'
import { values, type JobRow, type Row } from '../sql/rows.js'
import { proof } from './attempt.js'
import {
  fence,
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
import { fulfilWishes } from './wish.js'

/** The machine's report: `result` and `detail` are JSON text or NULL, flags 0 or 1, `random` in [0, 1) for the jitter. */
export type FinishArgs = readonly [
  epoch: number,
  id: string,
  no: number,
  token: string,
  outcome: AttemptOutcome,
  exitCode: number | null,
  signal: string | null,
  result: string | null,
  detail: string | null,
  startedAt: number | null,
  endedAt: number | null,
  skewMs: number | null,
  tree: string | null,
  collecting: number,
  notConfirmedGone: number,
  actor: string,
  random: number,
]

/** scheduled, running -> completed, pending, failed or cancelled. */
export function* finish(tx: Tx, ...args: FinishArgs): Steps<Row | Refusal> {
  const [epoch, id, no, token, outcome, exitCode, signal, result, detail] = args
  const [, , , , , , , , , startedAt, endedAt, skewMs, tree, collecting, notConfirmedGone, actor, random] = args
  yield* fence(tx, epoch)
  const facts = { outcome, exitCode, signal, ...(skewMs !== null && { skewMs }), ...unpacked(detail) }
  const proven = yield* proof(tx, id, no, token, ['scheduled', 'running'], { action: 'note', actor, data: facts })
  if ('code' in proven) return proven
  const { job: was, attempt } = proven

  const wish = yield* fulfilWishes(tx, was)
  const next = decide(was, { outcome, wished: wish !== undefined, gone: notConfirmedGone === 0, random })
  const started = attempt.started ?? startedAt ?? (outcome === 'succeeded' ? (endedAt ?? tx.now) : null)
  yield* saveAttempt(attempt, {
    started,
    ended: endedAt ?? tx.now,
    outcome,
    exit_code: exitCode,
    signal,
    tree: tree ?? attempt.tree,
    detail,
    collecting,
    unconfirmed: notConfirmedGone,
    open: collecting | notConfirmedGone,
  })
  if (stateName(was.state) === 'scheduled' && started !== null)
    record(tx, was, {
      action: 'start',
      actor,
      attempt: no,
      data: { machine: attempt.machine },
      happened: started,
    })

  const job = yield* save(tx, was, {
    state: stateNumber(next.state),
    reason: outcome === 'succeeded' ? null : next.event === 'cancel' ? 'cancelled' : outcome,
    failures: next.failures,
    unstarted: 0,
    exit_code: exitCode,
    signal,
    result,
    started,
    ended: isTerminal(next.state) ? tx.now : null,
    run_at: next.afterMs === null ? null : tx.now + next.afterMs,
    conditions: conditionsAfter(was, next.state, collecting === 1),
  })
  const data = {
    ...why(outcome, facts),
    ...(wish !== undefined && next.event !== 'cancel' && { cancelRequested: wish }),
  }
  record(tx, job, { action: next.event, actor, attempt: no, data, happened: endedAt })
  return values(job)
}

interface Next {
  readonly event: JobEvent
  readonly state: JobState
  readonly failures: number
  readonly afterMs: number | null
}

/** How an attempt ended, whether a cancel was wished before, and whether the machine says that nothing of it is left. */
interface End {
  readonly outcome: AttemptOutcome
  readonly wished: boolean
  readonly gone: boolean
  readonly random: number
}

function decide(job: JobRow, { outcome, wished, gone, random }: End): Next {
  const from = stateName(job.state)
  if (outcome === 'released') throw new MusterError('INVALID_ARGUMENT', 'a released attempt is given back by release()')
  if (outcome === 'succeeded') return follow(from, 'succeed', job.failures)
  if (outcome === 'cancelled') return follow(from, 'cancel', job.failures)
  const { retry } = JSON.parse(job.spec) as JobSpec
  const decision = decideRetry(outcome, job.failures, retry, () => random)
  if (!decision.retry) return follow(from, 'fail', decision.failures)
  // `cancelled` promises that nothing is left: an attempt that is only given up keeps its own reason.
  if (wished) return follow(from, isOwnEnd(outcome) || !gone ? 'fail' : 'cancel', decision.failures)
  return follow(from, 'retry', decision.failures, decision.afterMs)
}

/** Whether the command (or its setup) came to this end, or a limit of the job's own did. */
function isOwnEnd(outcome: AttemptOutcome): boolean {
  return RETRYABLE_REASONS.some((reason) => reason === outcome)
}

function follow(from: JobState, event: JobEvent, failures: number, afterMs: number | null = null): Next {
  const state = nextState(from, event)
  if (!state) throw new MusterError('ILLEGAL_TRANSITION', `no ${event} from ${from}`, { details: { from, event } })
  return { event, state, failures, afterMs }
}

/** A wish that was overtaken stays visible; what was unknown or stuck is known now. */
function conditionsAfter(job: JobRow, state: JobState, collecting: boolean): string | null {
  const { cancelRequested, collecting: earlier } = unpacked(job.conditions)
  return packed({
    ...(cancelRequested !== undefined && state !== 'cancelled' && { cancelRequested }),
    ...((collecting || earlier === true) && { collecting: true }),
  })
}

function why(outcome: AttemptOutcome, facts: EventData): EventData {
  const { outcome: _, ...rest } = facts
  const known = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null))
  return outcome === 'succeeded' ? known : { reason: outcome, ...known }
}
