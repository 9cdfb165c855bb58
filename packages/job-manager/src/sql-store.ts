/**
 * The record over any SqlDriver: each method is one operation or one query, and the translation of what comes back. Nothing is
 * cached here: the database is the only truth.
 */
import { closeOnce, MusterError, type Clock, type Ids, type Logger } from '@muster/core'
import { onChange } from './changes.js'
import { readLease, Stand, type LeaseTimes } from './lease.js'
import type { SqlDriver } from './sql/driver.js'
import { jobs, known } from './store-jobs.js'
import { scheduling } from './store-scheduling.js'
import type { JobStore } from './store.js'
import { watchRecord } from './watch.js'

/** What a store is made of. */
export interface SqlStoreParts {
  readonly driver: SqlDriver
  readonly location: string
  readonly recordId: string
  readonly clock: Clock
  readonly ids: Ids
  readonly random: () => number
  readonly logger: Logger
  readonly lease: LeaseTimes
}

/** {@link JobStore} over SQL. */
export function sqlStore(parts: SqlStoreParts): JobStore {
  const { driver, location, recordId, clock, ids, random, logger, lease } = parts
  const stands = new Set<Stand>()
  const closing = new AbortController()
  const close = closeOnce(async () => {
    closing.abort(new MusterError('STORE_CLOSED', `the record ${location} was closed`))
    await Promise.all([...stands].map((stand) => stand.close()))
    await driver.close()
  })
  const superseded = (epoch: number): void => {
    for (const stand of stands) stand.superseded(epoch)
  }
  return {
    location,
    recordId,
    ...jobs(driver),
    ...scheduling(driver, { ids, random, superseded }),
    stand: (holder, { caretaker = false } = {}) => {
      const onClosed = (): void => {
        stands.delete(stand)
      }
      const stand = new Stand({ driver, clock, logger, holder, caretaker, onClosed, ...lease })
      stands.add(stand)
      return stand
    },
    leader: async () => {
      const { holder, caretaker, epoch } = await readLease(driver)
      return holder === null ? undefined : { holder, caretaker, epoch }
    },
    watch: ({ after, jobId, actions, signal } = {}) =>
      watchRecord(driver, clock, {
        after,
        actions,
        job: jobId === undefined ? undefined : known(driver, jobId),
        signal: signal ? AbortSignal.any([signal, closing.signal]) : closing.signal,
      }),
    onChange: (listener) => onChange(driver, listener),
    close,
    [Symbol.asyncDispose]: close,
  }
}
