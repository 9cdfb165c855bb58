/** From rows to records: the one place where columns become what callers read. */
import {
  ACTIONS,
  JOB_STATES,
  renderSentence,
  type Conditions,
  type EventData,
  type JobEventRecord,
  type JobSpec,
  type JsonValue,
} from '@muster/core'
import {
  attemptRow,
  JOB_COLUMNS,
  jobRow,
  uuid,
  type AttemptRow,
  type JobRow,
  type Row,
  type SqlValue,
} from './sql/rows.js'
import type {
  AttemptRecord,
  Drain,
  JobRecord,
  LiveAttempt,
  MachineRecord,
  NewJob,
  StoredResult,
  Wish,
} from './types.js'

const parsed = <T>(text: string | null, absent: T): T => (text === null ? absent : (JSON.parse(text) as T))

/** A job as callers read it. */
export function jobRecord(row: Row | JobRow): JobRecord {
  const job = isRow(row) ? jobRow(row) : row
  return {
    id: uuid(job.id),
    state: JOB_STATES[job.state] ?? 'pending',
    reason: job.reason as JobRecord['reason'],
    attempt: job.attempt,
    failures: job.failures,
    priority: job.priority,
    queue: job.queue,
    owner: job.owner,
    labels: parsed<Record<string, string>>(job.labels, {}),
    spec: JSON.parse(job.spec) as JobSpec,
    payload: JSON.parse(job.payload) as JsonValue,
    external: job.external === 1,
    conditions: parsed<Conditions>(job.conditions, {}),
    machine: job.machine,
    exitCode: job.exit_code,
    signal: job.signal,
    progress: parsed<JobRecord['progress']>(job.progress, null),
    result: parsed<StoredResult | null>(job.result, null),
    createdAt: job.created,
    updatedAt: job.updated,
    runAt: job.run_at,
    startedAt: job.started,
    endedAt: job.ended,
  }
}

/** A job that was inserted just now, without reading it back. */
export function bornRecord(job: NewJob, at: number): JobRecord {
  const { id, spec, owner, payload, external = false } = job
  return {
    id,
    state: 'queued',
    reason: null,
    attempt: 0,
    failures: 0,
    priority: spec.priority,
    queue: spec.queue,
    owner,
    labels: spec.labels,
    spec,
    payload,
    external,
    conditions: {},
    machine: null,
    exitCode: null,
    signal: null,
    progress: null,
    result: null,
    createdAt: at,
    updatedAt: at,
    runAt: null,
    startedAt: null,
    endedAt: null,
  }
}

/** An attempt as callers read it. */
export function attemptRecord(jobId: string, attempt: AttemptRow): AttemptRecord {
  return {
    jobId,
    number: attempt.no,
    machine: attempt.machine,
    gpus: parsed<readonly string[]>(attempt.gpus, []),
    tree: attempt.tree,
    placedAt: attempt.placed,
    startedAt: attempt.started,
    endedAt: attempt.ended,
    outcome: attempt.outcome as AttemptRecord['outcome'],
    exitCode: attempt.exit_code,
    signal: attempt.signal,
    detail: parsed<EventData>(attempt.detail, {}),
    notConfirmedGone: attempt.unconfirmed === 1,
    files: parsed<AttemptRecord['files']>(attempt.files, null),
  }
}

/** A row of a job followed by one of an attempt. */
export function liveAttempt(row: Row): LiveAttempt {
  const job = jobRecord(row)
  const attempt = attemptRow(row, JOB_COLUMNS.length)
  return { job, attempt: attemptRecord(job.id, attempt), token: attempt.token }
}

/** A row of `seq, attempt, action, actor, at, happened, data, job`. */
export function eventRecord(row: Row): JobEventRecord {
  const [seq, attempt, number, actor, at, happened, data, job] = row
  const facts = {
    action: ACTIONS[Number(number)] ?? 'note',
    actor: String(actor),
    attempt: Number(attempt),
    data: parsed<EventData>(data === null || data === undefined ? null : String(data), {}),
  }
  return {
    seq: Number(seq),
    jobId: uuid(String(job)),
    ...facts,
    at: Number(at),
    ...(happened !== null && { happenedAt: Number(happened) }),
    sentence: renderSentence(facts),
  }
}

/** A row of `seq, job, kind, by, reason, at`. */
export function wishRecord([seq, job, , by, reason, at]: Row): Wish {
  return {
    seq: Number(seq),
    jobId: uuid(String(job)),
    kind: 'cancel',
    by: String(by),
    reason: String(reason),
    at: Number(at),
  }
}

/** A row of the statement `machines`. */
export function machineRecord(row: Row): MachineRecord {
  const [name, state, reason, probe, quarantined, updated, trouble, ...rest] = row
  const [by, why, at, busy] = rest
  const drain = typeof by === 'string' ? drainOf([by, why ?? '', at ?? 0]) : null
  return {
    name: String(name),
    state: stateOf((state ?? null) as MachineRecord['state'] | null, drain !== null, busy === 1),
    reason: textOrNull(reason),
    probe: parsed<JsonValue>(textOrNull(probe), {}),
    quarantined: parsed<MachineRecord['quarantined']>(textOrNull(quarantined), {}),
    trouble: parsed<MachineRecord['trouble']>(textOrNull(trouble), null),
    drain,
    updatedAt: Number(updated ?? at),
  }
}

/** A row of `by, reason, at`. */
export function drainOf([by, reason, at]: Row): Drain {
  return { by: String(by), reason: String(reason), at: Number(at) }
}

/** Nothing is left on a drained machine, so whether it answers does not matter; while something is there, it does. */
function stateOf(seen: MachineRecord['state'] | null, drained: boolean, busy: boolean): MachineRecord['state'] {
  if (drained && !busy) return 'drained'
  return drained && (seen ?? 'ready') === 'ready' ? 'draining' : (seen ?? 'suspect')
}

function textOrNull(value: SqlValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value)
}

function isRow(row: Row | JobRow): row is Row {
  return Array.isArray(row)
}
