/** Brings a record to this program's schema: each step once, under the write lock, checked by its hash. A newer one is refused. */
import { MusterError } from '@muster/core'
import { randomUUID } from 'node:crypto'
import { MIGRATIONS, type Migration } from './migrations/index.js'
import type { Connection } from './sqlite-connection.js'

const TABLE = `CREATE TABLE migration(number INTEGER PRIMARY KEY, hash TEXT NOT NULL, at INTEGER NOT NULL) STRICT`

/** Migrates to the newest of `migrations`. Throws STORE_SCHEMA_NEWER, or STORE_CORRUPT where the file is no record of ours. */
export function migrate(db: Connection, migrations: readonly Migration[] = MIGRATIONS): void {
  if (pending(db, migrations).length === 0) return
  db.transaction(() => {
    // Another process may have been first while we waited for the lock.
    if (!tables(db).includes('migration')) db.script(TABLE)
    for (const { number, sql, hash } of pending(db, migrations)) {
      db.script(sql)
      db.call('INSERT INTO migration(number, hash, at) VALUES(?, ?, ?)', [number, hash, Date.now()])
    }
    db.call(`INSERT INTO meta(name, value) VALUES('record', ?) ON CONFLICT DO NOTHING`, [randomUUID()])
  })
}

function pending(db: Connection, migrations: readonly Migration[]): readonly Migration[] {
  const present = tables(db)
  if (present.length === 0) return migrations
  if (!present.includes('migration'))
    throw new MusterError('STORE_CORRUPT', `${db.file} is a database of something else than muster`)
  const applied = db.read('SELECT number, hash FROM migration ORDER BY number', [])
  for (const [number, hash] of applied) {
    const known = migrations.find((migration) => migration.number === number)
    if (!known)
      throw new MusterError(
        'STORE_SCHEMA_NEWER',
        `${db.file} has schema ${String(number)}, this program knows ${migrations.length}`,
      )
    if (known.hash !== hash)
      throw new MusterError('STORE_CORRUPT', `${db.file}: schema ${known.number} was made by another text than ours`)
  }
  return migrations.slice(applied.length)
}

function tables(db: Connection): readonly string[] {
  const rows = db.read(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`, [])
  return rows.map(([name]) => String(name))
}
