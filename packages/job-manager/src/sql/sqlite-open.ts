/** Opening an SQLite record: one database per file and process, shared by reference count, even between copies of this package. */
import { MusterError } from '@muster/core'
import type { SqlDriver } from './driver.js'
import { fileIdentity, prepareFile, type FileSystemType } from './sqlite-files.js'
import { SqliteDatabase, SqliteDriver } from './sqlite.js'

/** Grows when what copies of this package share changes its form. */
const PROTOCOL = 1

interface Shared {
  readonly protocol: number
  readonly database: SqliteDatabase
  readonly opened: Promise<string>
  users: number
  closed?: Promise<void>
}

/** Opens the record in `path`. Gives the driver, the file's real path and the record's id. */
export async function openSqlite(
  path: string,
  options: { readonly createDirectory?: boolean; readonly typeOf?: FileSystemType } = {},
): Promise<{ readonly driver: SqlDriver; readonly file: string; readonly recordId: string }> {
  const file = await prepareFile(path, { createDirectory: false, ...options })
  const identity = fileIdentity(file)
  const databases = registry()
  for (let known = databases.get(identity); known?.closed; known = databases.get(identity)) await known.closed
  const shared = databases.get(identity) ?? start(file, identity)
  if (shared.protocol !== PROTOCOL)
    throw new MusterError('STORE_FAILED', `${file} is open in this process by another version of @muster/job-manager`, {
      hint: 'Let both use one installed copy: npm ls @muster/job-manager',
    })
  databases.set(identity, shared)
  shared.users += 1
  let letting: Promise<void> | undefined
  const letGo = (): Promise<void> => (letting ??= release(identity, shared))
  try {
    return { driver: new SqliteDriver(shared.database, letGo), file, recordId: await shared.opened }
  } catch (error) {
    await letGo()
    throw error
  }
}

function start(file: string, identity: string): Shared {
  const database = new SqliteDatabase(file, identity)
  return { protocol: PROTOCOL, database, opened: database.open(), users: 0 }
}

async function release(identity: string, shared: Shared): Promise<void> {
  shared.users -= 1
  if (shared.users > 0) return
  shared.closed = shared.database.close().finally(() => registry().delete(identity))
  await shared.closed
}

function registry(): Map<string, Shared> {
  const key = Symbol.for('muster.sqlite.databases')
  const slot = globalThis as typeof globalThis & Record<symbol, Map<string, Shared> | undefined>
  return (slot[key] ??= new Map<string, Shared>())
}
