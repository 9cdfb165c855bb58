/** Submit: one write makes the job, its labels and its first events; a repeated one finds what the first one made. */
import { canonicalJson, MusterError, nextState, type JsonValue } from '@muster/core'
import { jobRow, uuid, values, type JobRow, type Row } from '../sql/rows.js'
import { record, stateNumber, type Refusal, type Steps, type Tx } from './operation.js'

const QUEUED = stateNumber(nextState('pending', 'ready') ?? 'queued')

/** What a new job brings. Structures are JSON text, `spec` canonical; `labels` NULL where there are none; `name` a second name or ''. */
export type InsertArgs = readonly [
  id: string,
  key: string | null,
  worker: string,
  priority: number,
  external: number,
  shape: string,
  queue: string,
  owner: string,
  labels: string | null,
  spec: string,
  payload: string,
  actor: string,
  name: string,
]

/** Inserts a job as queued. Answers the time of its birth, or the row of the job that this request already made. */
export function* insert(tx: Tx, ...args: InsertArgs): Steps<number | Row | Refusal> {
  const [id, key, worker, priority, external, shape, queue, owner, labels, spec, payload, actor, name] = args
  if (name !== '') {
    const [known] = yield ['jobByName', [name]]
    if (known) return same(known, spec, `the name ${JSON.stringify(name)}`, 'NAME_CONFLICT')
  }
  const shapeNumber = yield* shapeOf(tx, shape)
  let n: number
  try {
    const [row] = yield [
      'insertJob',
      [id, key, worker, QUEUED, priority, external, shapeNumber, queue, owner, labels, tx.now, tx.now, spec, payload],
    ]
    n = Number(row?.[0])
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('JOB_EXISTS')) throw error
    const [byKey] = yield ['jobByKey', [key]]
    const [known] = byKey ? [byKey] : yield ['jobById', [id]]
    if (!known) throw error
    return same(known, spec, byKey ? `the key ${JSON.stringify(key)}` : `the id ${id}`, 'KEY_CONFLICT')
  }
  if (labels !== null)
    for (const [label, value] of Object.entries(JSON.parse(labels) as Record<string, string>))
      yield ['insertLabel', [label, value, n]]
  if (name !== '') yield ['insertName', [name, n]]
  record(tx, { n, id }, { action: 'submit', actor, attempt: 0 })
  record(tx, { n, id }, { action: 'ready', actor, attempt: 0 })
  tx.count(QUEUED, worker, 1)
  return tx.now
}

/** Gives a job a second name; the same name again changes nothing. */
export function* alias(_tx: Tx, name: string, id: string): Steps<Row | Refusal> {
  const [job] = yield ['jobById', [id]]
  if (!job) throw new MusterError('JOB_NOT_FOUND', `no job ${id} in the record`, { details: { id } })
  const [known] = yield ['jobByName', [name]]
  if (known && known[0] !== job[0])
    throw new MusterError('NAME_CONFLICT', `the name ${JSON.stringify(name)} belongs to job ${String(known[1])}`)
  if (!known) yield ['insertName', [name, jobRow(job).n]]
  return job
}

function same(known: Row, spec: string, what: string, code: 'KEY_CONFLICT' | 'NAME_CONFLICT'): Row | Refusal {
  const job = jobRow(known)
  return otherRequest(job, spec, what, code) ?? values(job)
}

/** The refusal of a request (canonical JSON) that differs from the one that made `job`; undefined where they are the same. */
export function otherRequest(
  job: JobRow,
  spec: string,
  what: string,
  code: 'KEY_CONFLICT' | 'NAME_CONFLICT',
): Refusal | undefined {
  if (job.spec === spec) return undefined
  const fields = differences(JSON.parse(job.spec) as object, JSON.parse(spec) as object)
  return {
    code,
    message: `${what} already names another request (they differ in ${fields.join(', ')})`,
    details: { id: uuid(job.id), fields },
  }
}

function differences(a: object, b: object): string[] {
  const [left, right] = [new Map<string, JsonValue>(Object.entries(a)), new Map<string, JsonValue>(Object.entries(b))]
  const differs = (name: string): boolean => canonicalJson(left.get(name)) !== canonicalJson(right.get(name))
  return [...new Set([...left.keys(), ...right.keys()])].filter(differs)
}

function* shapeOf(tx: Tx, text: string): Steps<number> {
  const known = tx.memo.get(text)
  if (known !== undefined) return known
  const [found] = yield ['shape', [text]]
  const [made] = found ? [found] : yield ['insertShape', [text]]
  const n = Number(made?.[0])
  tx.memo.set(text, n)
  return n
}
