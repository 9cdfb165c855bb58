/** What a scheduler reads in bulk: the waiting set, as little of each job as decides about its place; and what may be running. */
import { liveAttempt } from './records.js'
import type { Shape } from './shape.js'
import type { SqlDriver } from './sql/driver.js'
import { JOB_COLUMNS, uuid, type Row } from './sql/rows.js'
import type { LiveAttempt, WaitingJob } from './types.js'

const MAX_WAITING = 10_000
const PAGE = 1_000

type Compact = readonly [id: string, shape: number, priority: number, created: number, attempt: number]

/** What is queued and not in a paused queue, by priority, then age. One text crosses the thread, and each shape is parsed once. */
export async function readWaiting(
  driver: SqlDriver,
  options: { readonly limit: number; readonly excludeShapes?: readonly string[] },
): Promise<readonly WaitingJob[]> {
  const limit = Math.min(options.limit, MAX_WAITING)
  const skipped = JSON.stringify(options.excludeShapes ?? [])
  const [all] = await driver.query('waiting', [skipped, limit])
  const [row] = Number(all?.[1]) === 0 ? [all] : await driver.query('waitingBeside', [skipped, limit, limit])
  const compact = JSON.parse(String(row?.[0] ?? '[]')) as readonly Compact[]
  const shapes = await readShapes(driver, new Set(compact.map(([, shape]) => shape)))
  return compact.flatMap(([id, number, priority, createdAt, attempt]) => {
    const known = shapes.get(number)
    return known ? [{ id: uuid(id), priority, createdAt, attempt, ...known }] : []
  })
}

async function readShapes(
  driver: SqlDriver,
  numbers: ReadonlySet<number>,
): Promise<ReadonlyMap<number, Shape & { shape: string }>> {
  if (numbers.size === 0) return new Map()
  const rows = await driver.query('shapes', [JSON.stringify([...numbers])])
  return new Map(
    rows.map(([n, text]) => {
      const shape = String(text)
      return [Number(n), { ...(JSON.parse(shape) as Shape), shape }]
    }),
  )
}

/** Attempts that may exist on machines, oldest job first, read in pages. */
export async function readLive(driver: SqlDriver, job: number, machine: string): Promise<readonly LiveAttempt[]> {
  const found: LiveAttempt[] = []
  let after: readonly [number, number] = [0, 0]
  for (;;) {
    const rows: readonly Row[] = await driver.query('live', [...after, machine, job, PAGE])
    for (const row of rows) found.push(liveAttempt(row))
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return found
    after = [Number(last[0]), Number(last[JOB_COLUMNS.length + 1])]
  }
}
