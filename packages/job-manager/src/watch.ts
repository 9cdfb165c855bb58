/**
 * Watching: every event after a position, in order, without a gap. Commits are serial and `seq` grows with them, so reading
 * on from the last one seen misses nothing, whoever wrote; what this process or another commits only says when to look.
 */
import { abortReason, MusterError, type Clock, type JobEventRecord } from '@muster/core'
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
  const hint = new Hint(driver, watched?.id)
  let position = from
  try {
    while (!signal.aborted) {
      hint.take()
      const rows = await read(driver, position, watched)
      for (const row of rows) {
        const event = eventRecord(row)
        position = event.seq
        yield event
        if (signal.aborted) return
      }
      if (rows.length < PAGE) await hint.wait(clock, signal)
    }
  } catch (error) {
    if (error instanceof MusterError && error.code === 'STORE_CLOSED' && signal.aborted) return
    throw error
  } finally {
    hint.remove()
  }
}

function read(driver: SqlDriver, after: number, watched: Watched | undefined): Promise<readonly Row[]> {
  return watched ? driver.query('eventsOfJob', [watched.n, after, PAGE]) : driver.query('eventsAfter', [after, PAGE])
}

/** Remembers between two looks that there is something to see. */
class Hint {
  readonly remove: () => void
  #given = false
  #wake: (() => void) | undefined

  constructor(driver: SqlDriver, id: string | undefined) {
    this.remove = driver.listen((touched) => {
      if (touched && (id === undefined ? touched.size === 0 : !touched.has(id))) return
      this.#given = true
      this.#wake?.()
    })
  }

  take(): void {
    this.#given = false
  }

  async wait(clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.#given || signal.aborted) return
    const enough = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    const either = AbortSignal.any([signal, enough.signal])
    const slept = clock.sleep(REASSURE_MS, { signal: either }).catch((error: unknown) => {
      if (!either.aborted || error !== abortReason(either)) throw error
    })
    await Promise.race([woken, slept])
    this.#wake = undefined
    enough.abort()
  }
}
