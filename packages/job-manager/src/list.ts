/**
 * Lists: which jobs a filter names, newest first, in pages that stay stable while jobs are inserted (the cursor is a job's age).
 *
 * Invariant: made for millions of rows. A filter by label, or by state or worker, is driven by an index whose order is the
 * page's order: one arm of a UNION for each (state, worker) that the counters know, each stopping after one page.
 */
import { isLive, JOB_STATES, MusterError, type JobState } from '@muster/core'
import type { SqlDriver } from './sql/driver.js'
import type { Row, SqlValue } from './sql/rows.js'
import { JOB } from './sql/statements.js'
import { jobRecord } from './records.js'
import type { JobFilter, JobPage } from './types.js'

const MAX_PAGE = 1_000
/** Beyond so many arms the scan from the newest job downwards is no slower. */
const MAX_ARMS = 64
/** How far the frequency of a label is looked at. */
const PROBE = 1_000

/** Where the jobs of a page are sought: `n` is the column by which the driving index is ordered. */
interface Arm extends Part {
  readonly n: 'j.n' | 'l.job'
}

interface Part {
  readonly sql: string
  readonly params: readonly SqlValue[]
}

/** One page of the jobs that `filter` names. Throws INVALID_ARGUMENT on a limit outside 1..1000 or a cursor that is none. */
export async function listJobs(
  driver: SqlDriver,
  filter: JobFilter,
  page: { readonly limit: number; readonly after?: string },
): Promise<JobPage> {
  const limit = checkedLimit(page.limit)
  const states = statesOf(filter)
  if (states?.length === 0) return { jobs: [] }
  const before = cursor(page.after)
  const rows = await select(driver, filter, states, before, limit + 1)
  const jobs = rows.slice(0, limit).map((row) => jobRecord(row))
  const last = rows[limit - 1]
  return rows.length > limit && last ? { jobs, next: String(last[0]) } : { jobs }
}

async function select(
  driver: SqlDriver,
  filter: JobFilter,
  states: readonly JobState[] | undefined,
  before: number,
  limit: number,
): Promise<readonly Row[]> {
  const labels = Object.entries(filter.labels ?? {})
  // What runs is little, whatever its labels: there the states drive.
  const byLabel = labels.length > 0 && !(states?.every((state) => isLive(state)) ?? false)
  const arms = byLabel ? await labelArms(driver, filter, states) : await counterArms(driver, filter, states)
  if (arms.length === 0) return []
  const rest = restOf(filter, states, byLabel ? [] : labels)
  const [sql, params]: [string[], SqlValue[]] = [[], []]
  for (const arm of arms) {
    sql.push(
      `SELECT * FROM (SELECT ${arm.n} AS n FROM ${arm.sql} AND ${arm.n} < ?${rest.sql} ORDER BY ${arm.n} DESC LIMIT ?)`,
    )
    params.push(...arm.params, before, ...rest.params, limit)
  }
  const text = `SELECT ${JOB} FROM (${sql.join(' UNION ALL ')}) x JOIN job j ON j.n = x.n ORDER BY j.n DESC LIMIT ?`
  return driver.query({ text }, [...params, limit])
}

/** The rarest label drives, the others are looked up for each of its jobs. */
async function labelArms(
  driver: SqlDriver,
  filter: JobFilter,
  states: readonly JobState[] | undefined,
): Promise<readonly Arm[]> {
  const probe = 'SELECT count(*) FROM (SELECT 1 FROM label WHERE name = ? AND value = ? LIMIT ?)'
  const counted = await Promise.all(
    Object.entries(filter.labels ?? {}).map(async ([name, value]) => {
      const [row] = await driver.query({ text: probe }, [name, value, PROBE])
      return { name, value, count: Number(row?.[0]) }
    }),
  )
  counted.sort((a, b) => a.count - b.count)
  const [rarest, ...others] = counted
  if (!rarest || rarest.count === 0) return []
  const exists = others.map(
    () => ' AND EXISTS(SELECT 1 FROM label o WHERE o.name = ? AND o.value = ? AND o.state = l.state AND o.job = j.n)',
  )
  const labelStates = [...new Set((states ?? JOB_STATES).map(labelState))]
  return labelStates.map((state) => ({
    n: 'l.job',
    sql: `label l CROSS JOIN job j ON j.n = l.job WHERE l.name = ? AND l.value = ? AND l.state = ?${exists.join('')}`,
    params: [rarest.name, rarest.value, state, ...others.flatMap(({ name, value }) => [name, value])],
  }))
}

const labelState = (state: JobState): number => {
  const number = JOB_STATES.indexOf(state)
  return number < JOB_STATES.indexOf('completed') ? 0 : number
}

async function counterArms(
  driver: SqlDriver,
  filter: JobFilter,
  states: readonly JobState[] | undefined,
): Promise<readonly Arm[]> {
  const scan: Arm = { n: 'j.n', sql: 'job j WHERE 1 = 1', params: [] }
  if (filter.machine !== undefined)
    return [{ n: 'j.n', sql: 'job j INDEXED BY job_machine WHERE j.machine = ?', params: [filter.machine] }]
  if (states === undefined && filter.worker === undefined) return [scan]
  const numbers = states?.map((state) => JOB_STATES.indexOf(state))
  const pairs = (await driver.query('counters', [])).filter(
    ([state, worker]) =>
      (numbers?.includes(Number(state)) ?? true) && (filter.worker === undefined || worker === filter.worker),
  )
  if (pairs.length > MAX_ARMS) return [scan]
  return pairs.map(([state, worker]) => ({
    n: 'j.n',
    sql: 'job j INDEXED BY job_list WHERE j.state = ? AND j.worker = ?',
    params: [state ?? null, worker ?? null],
  }))
}

const LABELLED = ' AND EXISTS(SELECT 1 FROM label o WHERE o.job = j.n AND o.name = ? AND o.value = ?)'

/** All conditions once more: whatever drives, the others hold too. */
function restOf(
  filter: JobFilter,
  states: readonly JobState[] | undefined,
  labels: readonly (readonly [string, string])[],
): Part {
  const conditions: [string, SqlValue | undefined][] = [
    ['j.worker = ?', filter.worker],
    ['j.queue = ?', filter.queue],
    ['j.owner = ?', filter.owner],
    ['j.machine = ?', filter.machine],
    ['j.reason = ?', filter.outcome],
    ['j.created > ?', filter.createdAfter],
    ['j.created < ?', filter.createdBefore],
  ]
  const given = conditions.filter(([, value]) => value !== undefined)
  const inStates = states ? ` AND +j.state IN (${states.map((state) => JOB_STATES.indexOf(state)).join(', ')})` : ''
  return {
    sql: inStates + given.map(([sql]) => ` AND +${sql}`).join('') + labels.map(() => LABELLED).join(''),
    params: [...given.map(([, value]) => value ?? null), ...labels.flat()],
  }
}

function statesOf({ state }: JobFilter): readonly JobState[] | undefined {
  if (state === undefined) return undefined
  const states = [...new Set(typeof state === 'string' ? [state] : state)]
  const unknown = states.find((name) => !JOB_STATES.includes(name))
  if (unknown === undefined) return states
  throw new MusterError('INVALID_ARGUMENT', `filter.state: expected one of ${JOB_STATES.join(', ')}, got ${unknown}`)
}

function checkedLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return limit
  throw new MusterError('INVALID_ARGUMENT', `limit: expected a whole number from 1 to ${MAX_PAGE}, got ${limit}`)
}

function cursor(after: string | undefined): number {
  if (after === undefined) return Number.MAX_SAFE_INTEGER
  if (/^[1-9][0-9]{0,14}$/.test(after)) return Number(after)
  throw new MusterError(
    'INVALID_ARGUMENT',
    `after: expected the \`next\` of an earlier page, got ${JSON.stringify(after)}`,
  )
}
