/** What happens beside the state: conditions, progress, collected files, late confirmations, notes. None of it moves a job. */
import { JOB_EVENTS, JOB_STATES, MusterError, type Action, type EventData, type JsonValue } from '@muster/core'
import { uuid, values, type Row } from '../sql/rows.js'
import { proof, type Proven } from './attempt.js'
import {
  fence,
  load,
  loadAttempt,
  packed,
  record,
  save,
  saveAttempt,
  stateName,
  unpacked,
  type Refusal,
  type Steps,
  type Tx,
} from './operation.js'

/** Changes conditions of the current attempt's job; `patch` is a JSON object in which null clears. No change writes nothing. */
export function* setConditions(
  tx: Tx,
  epoch: number,
  id: string,
  no: number,
  token: string,
  patch: string,
  actor: string,
  data: string | null,
): Steps<Row | Refusal> {
  yield* fence(tx, epoch)
  const proven = yield* proof(tx, id, no, token, JOB_STATES, { action: 'note', actor })
  if ('code' in proven) return proven
  const { job: was, attempt } = proven
  const before = unpacked(was.conditions)
  const merged = Object.entries({ ...before, ...unpacked(patch) })
  const after = Object.fromEntries(merged.filter(([, value]) => value !== null))
  const conditions = packed(after)
  if (conditions === packed(before)) return values(was)
  const job = yield* save(tx, was, { conditions })
  const facts = { machine: attempt.machine, ...unpacked(data) }
  for (const action of changes(before, after)) record(tx, job, { action, actor, attempt: no, data: facts })
  return values(job)
}

type Facts = Readonly<Record<string, JsonValue>>

function changes(before: Facts, after: Facts): Action[] {
  const appeared = (name: string): boolean => !(name in before) && name in after
  const vanished = (name: string): boolean => name in before && !(name in after)
  const events: [boolean, Action][] = [
    [appeared('unconfirmedSince'), 'unconfirmed'],
    [vanished('unconfirmedSince'), 'confirmed'],
    [appeared('stuck'), 'stuck'],
    [vanished('stuck'), 'freed'],
    [vanished('collecting'), 'collected'],
  ]
  return events.filter(([happened]) => happened).map(([, action]) => action)
}

/** How far the current attempt says it is. No event: what counts is the latest. */
export function* setProgress(
  tx: Tx,
  epoch: number,
  id: string,
  no: number,
  token: string,
  progress: string,
): Steps<null | Refusal> {
  yield* fence(tx, epoch)
  const proven = yield* proof(tx, id, no, token, ['scheduled', 'running'], { action: 'note', actor: 'machine' })
  if ('code' in proven) return proven
  yield ['saveProgress', [progress, tx.now, proven.job.n]]
  return null
}

/** What an attempt left is here: clears its flag, says where the files lie, and clears the condition with the last one. */
export function* collected(
  tx: Tx,
  epoch: number,
  id: string,
  no: number,
  token: string,
  files: string | null,
  actor: string,
  data: string | null,
): Steps<Row | Refusal> {
  yield* fence(tx, epoch)
  const proven = yield* earlier(id, no, token)
  if ('code' in proven) return proven
  const { job: was, attempt } = proven
  // An attempt that has not ended, or may still be running, stays among the live ones.
  const open = attempt.ended === null ? attempt.open : attempt.unconfirmed
  yield* saveAttempt(attempt, { collecting: 0, files, open })
  const { collecting, ...others } = unpacked(was.conditions)
  const [left] = yield ['collecting', [was.n]]
  const cleared = collecting !== undefined && Number(left?.[0]) === 0
  const job = cleared ? yield* save(tx, was, { conditions: packed(others) }) : was
  record(tx, job, { action: 'collected', actor, attempt: no, data: unpacked(data) })
  return values(job)
}

/**
 * An attempt that a policy had ended is confirmed gone from its machine after all. What the machine says of its end is kept as an
 * event and changes nothing.
 */
export function* confirmGone(
  tx: Tx,
  epoch: number,
  id: string,
  no: number,
  token: string,
  actor: string,
  report: string | null,
): Steps<null | Refusal> {
  yield* fence(tx, epoch)
  const proven = yield* earlier(id, no, token)
  if ('code' in proven) return proven
  const { job, attempt } = proven
  if (attempt.unconfirmed === 0) return null
  if (report !== null) record(tx, job, { action: 'report-refused', actor, attempt: no, data: unpacked(report) })
  yield* saveAttempt(attempt, { unconfirmed: 0, open: attempt.collecting })
  const data = { machine: attempt.machine, text: `attempt ${no} is confirmed gone` }
  record(tx, job, { action: 'confirmed', actor, attempt: no, data })
  return null
}

/** Appends a fact to a job's history. The events of the state table are not facts that a note may claim. */
export function* note(tx: Tx, id: string, action: Action, actor: string, data: string | null): Steps<null> {
  if ((JOB_EVENTS as readonly Action[]).includes(action))
    throw new MusterError('INVALID_ARGUMENT', `a note cannot claim ${JSON.stringify(action)}: that event moves a job`)
  const job = yield* load(id)
  const facts: EventData = unpacked(data)
  record(tx, job, { action, actor, attempt: job.attempt, data: facts })
  return null
}

/** The proof of any attempt of a job, current or not. */
function* earlier(id: string, no: number, token: string): Steps<Proven | Refusal> {
  const job = yield* load(id)
  const attempt = yield* loadAttempt(job.n, no)
  if (attempt?.token === token) return { job, attempt }
  return {
    code: 'ATTEMPT_SUPERSEDED',
    message: `job ${uuid(job.id)} (${stateName(job.state)}) has no attempt ${no} with this token`,
    details: { attempt: no, current: job.attempt },
  }
}
