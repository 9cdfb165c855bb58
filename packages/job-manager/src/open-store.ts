/** Opening a record by its location. The one place that knows which driver stands behind which scheme. */
import { MusterError, silentLogger, systemClock, systemIds, type Clock, type Ids, type Logger } from '@muster/core'
import { LEASE_TIMES, type LeaseTimes } from './lease.js'
import { openSqlite } from './sql/sqlite-open.js'
import type { SqlDriver } from './sql/driver.js'
import { sqlStore } from './sql-store.js'
import type { JobStore } from './store.js'

/** What may be injected; everything has a default. */
export interface StoreOptions {
  readonly clock?: Clock
  readonly ids?: Ids
  /** Yields [0, 1): the jitter of retries. */
  readonly random?: () => number
  readonly logger?: Logger
  /** How long a leader's lease lasts and how often it is renewed; 10 s and 3 s. The same for all who open the record. */
  readonly lease?: LeaseTimes
}

/**
 * Opens (and creates or migrates) the record at `location`: `sqlite:PATH` or a path, whose directory must exist. Opening a file
 * that this process has open shares its threads. Throws STORE_NOT_FOUND, STORE_READ_ONLY, STORE_CORRUPT, STORE_SCHEMA_NEWER,
 * STORE_ON_NETWORK_FS, STORE_BUSY. Nothing else in the process may open the file with an SQLite of its own.
 */
export async function openStore(location: string, options: StoreOptions = {}): Promise<JobStore> {
  return (await openRecord(location, options)).store
}

/** {@link openStore}, with the driver for what JobManager does beside the contract. */
export async function openRecord(
  location: string,
  options: StoreOptions = {},
): Promise<{ readonly store: JobStore; readonly driver: SqlDriver }> {
  const { clock = systemClock, ids = systemIds, random = Math.random, logger = silentLogger } = options
  const { driver, file, recordId } = await openSqlite(pathOf(location))
  const lease = options.lease ?? LEASE_TIMES
  const store = sqlStore({ driver, location: `sqlite:${file}`, recordId, clock, ids, random, logger, lease })
  return { store, driver }
}

function pathOf(location: string): string {
  const path = location.startsWith('sqlite:') ? location.slice('sqlite:'.length) : location
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(path)
  if (scheme) throw new MusterError('CONFIG_INVALID', `store: ${scheme[1] ?? ''} is not a store; use sqlite:PATH`)
  if (path === '' || path.includes('\0')) throw new MusterError('CONFIG_INVALID', 'store: expected sqlite:PATH')
  return path
}
