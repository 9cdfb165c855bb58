/** What the leader does for the whole record: promotes what is due, and writes machines down as it sees them. */
import { canonicalJson, isJobId } from '@muster/core'
import { jobRow, type Row, type SqlValue } from '../sql/rows.js'
import { fence, record, save, stateNumber, unpacked, type Steps, type Tx } from './operation.js'

/** pending -> queued of what is due. Answers the time of the next one (NULL: none), then id and queue of each in turn. */
export function* promoteDue(tx: Tx, epoch: number, limit: number): Steps<readonly SqlValue[]> {
  yield* fence(tx, epoch)
  const promoted: SqlValue[] = []
  for (const due of yield ['due', [tx.now, limit]]) {
    const job = yield* save(tx, jobRow(due), { state: stateNumber('queued'), run_at: null })
    record(tx, job, { action: 'ready', actor: 'leader', attempt: job.attempt })
    promoted.push(job.id, job.queue)
  }
  const [next] = yield ['nextDue', []]
  return [next?.[0] ?? null, ...promoted]
}

/**
 * Writes a machine down. What a person freed meanwhile stays free although the leader, which had not read that yet, still
 * lists it: a freed quarantine is remembered until a list comes without it.
 */
export function* saveMachine(
  tx: Tx,
  epoch: number,
  name: string,
  state: string,
  reason: string | null,
  probe: string,
  quarantined: string,
  trouble: string | null,
): Steps<null> {
  yield* fence(tx, epoch)
  const [known] = yield ['machine', [name]]
  const freed = unpacked(known ? String(known[1]) : null)
  const listed = Object.entries(unpacked(quarantined))
  const same = ([gpu, entry]: [string, unknown]): boolean => freed[gpu] === canonicalJson(entry)
  const kept = Object.fromEntries(listed.filter((entry) => !same(entry)))
  const remembered = Object.fromEntries(listed.filter(same).map(([gpu]) => [gpu, freed[gpu] ?? null]))
  yield ['saveMachine', [name, state, reason, probe, JSON.stringify(kept), JSON.stringify(remembered), trouble, tx.now]]
  return null
}

/** Lifts the quarantine of one GPU, or of all of a machine ('' for `gpu`). Answers the UUIDs freed. */
export function* freeGpus(tx: Tx, name: string, gpu: string, actor: string): Steps<Row> {
  const [known] = yield ['machine', [name]]
  const quarantined = Object.entries(unpacked(known ? String(known[0]) : null))
  const lifted = quarantined.filter(([uuid]) => gpu === '' || uuid === gpu)
  if (lifted.length === 0) return []
  const left = Object.fromEntries(quarantined.filter(([uuid]) => gpu !== '' && uuid !== gpu))
  const news = Object.fromEntries(lifted.map(([uuid, entry]) => [uuid, canonicalJson(entry)]))
  const freed = { ...unpacked(String(known?.[1])), ...news }
  yield ['saveQuarantine', [JSON.stringify(left), JSON.stringify(freed), tx.now, name]]
  for (const [uuid, entry] of lifted) {
    const id = typeof entry === 'object' && entry !== null && 'jobId' in entry ? entry.jobId : null
    const [found] = typeof id === 'string' && isJobId(id) ? yield ['jobById', [id.replaceAll('-', '')]] : []
    if (!found) continue
    const job = jobRow(found)
    record(tx, job, { action: 'freed', actor, attempt: job.attempt, data: { text: uuid, machine: name } })
  }
  return lifted.map(([uuid]) => uuid)
}
