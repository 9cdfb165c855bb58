/**
 * Watching: every event after a position, in order, without a gap. Commits are serial and `seq` grows with them, so reading
 * on from the last one seen misses nothing, whoever wrote; what this process or another commits only says when to look.
 */
import { ACTIONS, isMusterError, type Action, type Clock, type JobEventRecord } from '@muster/core'
import { Pause } from './pause.js'
import { eventRecord } from './records.js'
import type { SqlDriver, Touched } from './sql/driver.js'
import type { JobRow, Row } from './sql/rows.js'

/** Looks again after this long even without a hint; it also keeps the process alive while somebody waits. */
const REASSURE_MS = 30_000
const PAGE = 500

/** What a watch is about. */
export interface WatchOptions {
  /** The position to read on from; undefined: this moment's end. */
  readonly after: number | undefined
  readonly job: Promise<Watched> | undefined
  /** Events of these alone; undefined: of all. */
  readonly actions: readonly Action[] | undefined
  readonly signal: AbortSignal
}

type Watched = Pick<JobRow, 'n' | 'id'>

/** Watches the record. "From now" is the moment of this call, not of the first look at the iterable. */
export function watchRecord(
  driver: SqlDriver,
  clock: Clock,
  { after, job, actions, signal }: WatchOptions,
): AsyncIterable<JobEventRecord> {
  const ready = Promise.all([after ?? lastSeq(driver), job])
  // Whoever iterates gets the error; a watch that nobody iterates must not end the process with it.
  ready.catch(() => undefined)
  return (async function* () {
    const [position, watched] = await ready
    yield* follow(driver, clock, position, { watched, actions }, signal)
  })()
}

async function lastSeq(driver: SqlDriver): Promise<number> {
  const [row] = await driver.query('lastSeq', [])
  return Number(row?.[0] ?? 0)
}

/** Follows the record from `from` until `signal` fires (which ends it quietly). */
async function* follow(
  driver: SqlDriver,
  clock: Clock,
  from: number,
  { watched, actions }: { readonly watched: Watched | undefined; readonly actions: WatchOptions['actions'] },
  signal: AbortSignal,
): AsyncGenerator<JobEventRecord, void, void> {
  const wanted = bitsOf(actions ?? ACTIONS)
  const pause = new Pause(driver, (touched) => !touched || isNews(touched, wanted, watched))
  let position = from
  try {
    while (!signal.aborted) {
      const rows = await read(driver, position, watched)
      for (const row of rows) {
        const event = eventRecord(row)
        position = event.seq
        if (actions?.includes(event.action) ?? true) yield event
        if (signal.aborted) return
      }
      if (rows.length < PAGE) await pause.wait(clock, REASSURE_MS, signal, true)
    }
  } catch (error) {
    if (isMusterError(error, 'STORE_CLOSED') && signal.aborted) return
    throw error
  } finally {
    pause.remove()
  }
}

const bitsOf = (actions: readonly Action[]): number =>
  actions.reduce((bits, action) => bits | (1 << ACTIONS.indexOf(action)), 0)

function isNews(touched: Touched, wanted: number, watched: Watched | undefined): boolean {
  if (watched) return ((touched.get(watched.id) ?? 0) & wanted) !== 0
  return [...touched.values()].some((actions) => (actions & wanted) !== 0)
}

function read(driver: SqlDriver, after: number, watched: Watched | undefined): Promise<readonly Row[]> {
  return watched ? driver.query('eventsOfJob', [watched.n, after, PAGE]) : driver.query('eventsAfter', [after, PAGE])
}
