/**
 * The peer of a durable submit: the same rows, written by hand with libsql. Its record is made by muster itself and holds one
 * job of muster's; what is written by hand are copies of that job's rows under new ids, so schema, indexes, triggers and sync are
 * the same, and whoever changes what a submit writes changes the peer with it.
 */
import { systemIds } from '@muster/core'
import Database from 'libsql'

/** Writes jobs as a submit does. */
export interface HandRows {
  /** One job in a transaction of its own. */
  one(): void
  /** So many jobs in one transaction. */
  group(count: number): void
  close(): void
}

type Value = string | number | bigint | Buffer | null
type Row = Readonly<Record<string, Value>>

/** Opens the record in `path`, which muster made, closed, and put one job in. */
export function handRows(path: string): HandRows {
  const db = new Database(path)
  for (const setting of ['journal_mode = WAL', 'synchronous = FULL']) db.pragma(setting)
  const [job] = rows(db, 'SELECT * FROM job LIMIT 1')
  if (!job) throw new Error(`${path} holds no job`)
  const events = rows(db, 'SELECT * FROM event ORDER BY seq')
  const insertJob = insertion(db, 'job', job, ['n'])
  const insertEvents = events.map((event) => insertion(db, 'event', event, ['seq']))
  const count = db.prepare(
    'INSERT INTO counter(state, worker, n) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n',
  )

  const write = (): void => {
    const now = Date.now()
    const id = Buffer.from(systemIds.next().replaceAll('-', ''), 'hex')
    const n = insertJob({ id, created: now, updated: now })
    for (const insert of insertEvents) insert({ job: n, at: now })
  }
  const group = (jobs: number): void => {
    db.exec('BEGIN IMMEDIATE')
    for (let written = 0; written < jobs; written += 1) write()
    count.run([job['state'], job['worker'], jobs])
    db.exec('COMMIT')
  }
  return {
    one: () => {
      group(1)
    },
    group,
    close: () => {
      db.close()
    },
  }
}

function rows(db: Database.Database, sql: string): readonly Row[] {
  return db.prepare(sql).all([]) as Row[]
}

/** A prepared insert of copies of `model`, with some columns given anew; the key columns are left to the database. Gives the key. */
function insertion(
  db: Database.Database,
  table: string,
  model: Row,
  keys: readonly string[],
): (changed: Row) => number | bigint {
  const columns = Object.keys(model).filter((column) => !keys.includes(column))
  const statement = db.prepare(
    `INSERT INTO ${table}(${columns.join(', ')}) VALUES(${columns.map(() => '?').join(', ')})`,
  )
  return (changed) => statement.run(columns.map((column) => changed[column] ?? model[column] ?? null)).lastInsertRowid
}
