/**
 * One connection of libsql, as the threads use it. Everything that libsql does badly is kept in here: values are checked before
 * they are bound, always as one array; rows are raw; statements are cached; no implicit transaction helpers.
 */
import { MusterError } from '@muster/core'
import Database from 'libsql'
import { performance } from 'node:perf_hooks'
import type { Row, SqlValue } from './rows.js'
import { fileIdentity } from './sqlite-files.js'
import { isBusy } from './sqlite-errors.js'
import { checkValues } from './text.js'

interface Prepared {
  readonly statement: Database.Statement
  readonly reads: boolean
  readonly writes: boolean
  readonly parameters: number
}

/** Texts made for one query are remembered up to this many. */
const CACHE = 256
/** How long a locked file is waited for, milliseconds. */
const PATIENCE = 30_000
/**
 * So old a look at the names of the files may be, milliseconds. Newer kernels give a file whose times somebody has asked for new ones
 * at its next write, which the sync after that must write, too: a look before each commit made a commit a fourth longer.
 */
const FRESH_MS = 5

/** An open database. */
export class Connection {
  readonly file: string
  readonly #db: Database.Database
  readonly #cache = new Map<string, Prepared>()
  readonly #identity: string
  #log = ''
  #lookedAt = -Infinity

  /** Opens `file`, which must still be the one of `identity`: SQLite would make a new one without a word. */
  constructor(file: string, mode: 'write' | 'read', identity: string) {
    this.file = file
    this.#identity = identity
    if (fileIdentity(file) !== identity) throw replaced(file)
    this.#db = new Database(file)
    this.#patiently(() => this.#db.exec('PRAGMA busy_timeout = 0'))
    if (mode === 'write') this.#patiently(() => this.#db.exec('PRAGMA journal_mode = WAL'))
    // The reader walks a waiting set of 10,000 jobs each second; from its cache that takes half as long.
    const cacheKiB = mode === 'read' ? 32_000 : 8_000
    this.#db.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = -${cacheKiB}; PRAGMA temp_store = MEMORY`)
    if (mode === 'read') this.#db.exec('PRAGMA query_only = ON')
  }

  /**
   * Executes one statement. A write without RETURNING answers one row, the key of what it inserted, when it changed something.
   * `wrote` tells whether it could have.
   */
  call(sql: string, params: readonly SqlValue[]): { readonly rows: readonly Row[]; readonly wrote: boolean } {
    const { statement, reads, writes, parameters } = this.#prepare(sql)
    if (params.length !== parameters)
      throw new MusterError('STORE_FAILED', `a statement takes ${parameters} values, got ${params.length}: ${sql}`)
    checkValues(params)
    if (reads) return { rows: statement.all([...params]) as Row[], wrote: writes }
    const { changes, lastInsertRowid } = statement.run([...params])
    return { rows: changes > 0 ? [[Number(lastInsertRowid)]] : [], wrote: true }
  }

  /** Reads outside of a transaction: waits while another process recovers or closes the file. */
  read(sql: string, params: readonly SqlValue[]): readonly Row[] {
    return this.#patiently(() => this.call(sql, params).rows)
  }

  /** Executes a script outside of any transaction of ours. */
  script(sql: string): void {
    this.#db.exec(sql)
  }

  /**
   * Runs `work` in one transaction, which has the write lock from its beginning. When it throws, nothing of it stays.
   */
  transaction<T>(work: () => T): T {
    this.#checkFile()
    this.#patiently(() => this.call('BEGIN IMMEDIATE', []))
    try {
      const result = work()
      this.call('COMMIT', [])
      return result
    } catch (error) {
      // A full disk or a broken file has rolled back by itself, and a second ROLLBACK would hide why.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** Whether a transaction is open: SQLite ends it by itself on a full disk. */
  get inTransaction(): boolean {
    return this.#db.inTransaction
  }

  /** Changes exactly when another connection has committed. */
  dataVersion(): SqlValue {
    return this.call('PRAGMA data_version', []).rows[0]?.[0] ?? null
  }

  /** Throws STORE_REPLACED when the file under our name is not the one we opened; it is noticed within FRESH_MS. */
  checkFile(): void {
    this.#checkFile()
  }

  close(): void {
    this.#cache.clear()
    this.#db.close()
  }

  #checkFile(): void {
    const now = performance.now()
    if (now - this.#lookedAt < FRESH_MS) return
    const log = fileIdentity(`${this.file}-wal`)
    // The log appears with the first read, and stays while we are open.
    if (this.#log === '') this.#log = log
    if (fileIdentity(this.file) !== this.#identity || log !== this.#log) throw replaced(this.file)
    this.#lookedAt = now
  }

  /**
   * Repeats `work` while another connection holds the lock. Waits are random and grow shorter the longer one has waited, so that
   * nobody starves: SQLite's own busy_timeout made one of eight processes wait 2.7 s where this makes it wait 0.1 s.
   */
  #patiently<T>(work: () => T): T {
    const since = performance.now()
    for (;;) {
      try {
        return work()
      } catch (error) {
        const waited = performance.now() - since
        if (!isBusy(error) || waited > PATIENCE) throw error
        Atomics.wait(cell, 0, 0, (0.5 + Math.random()) * Math.max(0.3, 4 - waited / 25))
      }
    }
  }

  #prepare(sql: string): Prepared {
    const known = this.#cache.get(sql)
    if (known) return known
    const statement = this.#db.prepare(sql)
    if (statement.reader) statement.raw()
    const prepared = {
      statement,
      reads: statement.reader,
      writes: !/^\s*(SELECT|PRAGMA)/.test(sql),
      parameters: sql.split('?').length - 1,
    }
    if (this.#cache.size >= CACHE) this.#cache.delete(this.#cache.keys().next().value ?? '')
    this.#cache.set(sql, prepared)
    return prepared
  }
}

const cell = new Int32Array(new SharedArrayBuffer(4))

function replaced(file: string): MusterError {
  return new MusterError('STORE_REPLACED', `${file} was deleted or replaced while it was open`)
}
