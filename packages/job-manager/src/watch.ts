/**
 * Watching: every event after a position, in order, without a gap. Commits are serial and `seq` grows with them, so reading
 * on from the last one seen misses nothing, whoever wrote; what this process or another commits only says when to look.
 */
import { isMusterError, type Clock, type JobEventRecord } from '@muster/core'
import { Pause } from './pause.js'
import { eventRecord } from './records.js'
import type { SqlDriver } from './sql/driver.js'
import type { JobRow, Row } from './sql/rows.js'

/** Looks again after this long even without a hint; it also keeps the process alive while somebody waits. */
const REASSURE_MS = 30_000
const PAGE = 500

/** What a watch is about. */
export interface WatchOptions {
  /** The position to read on from; undefined: this moment's end. */
  readonly after: number | undefined
  readonly job: Promise<Watched> | undefined
  readonly signal: AbortSignal
}

type Watched = Pick<JobRow, 'n' | 'id'>

/** Watches the record. "From now" is the moment of this call, not of the first look at the iterable. */
export function watchRecord(
  driver: SqlDriver,
  clock: Clock,
  { after, job, signal }: WatchOptions,
): AsyncIterable<JobEventRecord> {
  const ready = Promise.all([after ?? lastSeq(driver), job])
  // Whoever iterates gets the error; a watch that nobody iterates must not end the process with it.
  ready.catch(() => undefined)
  return (async function* () {
    const [position, watched] = await ready
    yield* follow(driver, clock, position, watched, signal)
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
  watched: Watched | undefined,
  signal: AbortSignal,
): AsyncGenerator<JobEventRecord, void, void> {
  const pause = new Pause(driver, (touched) => !touched || (watched ? touched.has(watched.id) : touched.size > 0))
  let position = from
  try {
    while (!signal.aborted) {
      const rows = await read(driver, position, watched)
      for (const row of rows) {
        const event = eventRecord(row)
        position = event.seq
        yield event
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

function read(driver: SqlDriver, after: number, watched: Watched | undefined): Promise<readonly Row[]> {
  return watched ? driver.query('eventsOfJob', [watched.n, after, PAGE]) : driver.query('eventsAfter', [after, PAGE])
}
