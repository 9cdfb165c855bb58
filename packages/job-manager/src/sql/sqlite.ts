/**
 * The SQLite driver: the caller's thread never waits for the disk. What is asked in one turn leaves as one message and becomes
 * one transaction of at most 500 operations; two messages may be under way, so that the writer has the next one when it is done,
 * and what comes meanwhile gathers into the next group.
 *
 * Invariant: one process has one SqliteDatabase for a file, whoever opens it and however often, because a second copy of
 * SQLite in the same process would break the first one's locks.
 */
import { isMusterError, MusterError } from '@muster/core'
import { open } from 'node:fs/promises'
import type { OperationArgs, OperationName, OperationResult } from '../operations/index.js'
import type { ChangeListener, Query, SqlDriver, Touched } from './driver.js'
import type { Row, SqlValue } from './rows.js'
import { storeError } from './sqlite-errors.js'
import type { Answer, Failure } from './sqlite-group.js'
import { ReadLine } from './sqlite-reads.js'
import type { ThreadSettings } from './sqlite-messages.js'
import { asError, DatabaseThread, rowsOf } from './sqlite-worker.js'
import type { StatementName } from './statements.js'
import { checkValues } from './text.js'

const GROUP = 500
const WINDOW = 2
/** A queue at least this long is worth a second transaction. */
const WORTH_TWO = 64
const POLL_MS = 50

interface Waiting {
  readonly name: string
  readonly args: readonly SqlValue[]
  resolve(answer: Answer): void
  reject(error: unknown): void
}

/** The threads of one file, with their queue. Shared by all drivers of the process. */
export class SqliteDatabase {
  readonly file: string
  readonly #settings: Omit<ThreadSettings, 'role'>
  readonly #writer: DatabaseThread
  #reader: DatabaseThread | undefined
  #reads: ReadLine | undefined
  readonly #listeners = new Set<ChangeListener>()
  #queue: Waiting[] = []
  #scheduled = false

  constructor(file: string, identity: string) {
    this.file = file
    this.#settings = { file, identity, pollMs: POLL_MS }
    this.#writer = new DatabaseThread({ ...this.#settings, role: 'write' }, () => {
      this.#notify(undefined)
    })
  }

  /** Opens and migrates. Gives the record's id. */
  async open(): Promise<string> {
    const [row] = rowsOf(await this.#writer.request('open'))
    return String(row?.[0])
  }

  write(name: string, args: readonly SqlValue[]): Promise<Answer> {
    return new Promise((resolve, reject) => {
      checkValues(args)
      this.#queue.push({ name, args, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.#flush()
      })
    })
  }

  async read(query: Query, params: readonly SqlValue[]): Promise<readonly Row[]> {
    checkValues(params)
    this.#reader ??= new DatabaseThread({ ...this.#settings, role: 'read' })
    this.#reads ??= new ReadLine(this.#reader)
    return this.#reads.ask([typeof query === 'string' ? query : query.text, ...params])
  }

  async backup(file: string): Promise<void> {
    try {
      // VACUUM INTO fills an empty file that exists, and would make a new one readable for everybody.
      await (await open(file, 'wx', 0o600)).close()
    } catch (error) {
      throw storeError(error, file)
    }
    rowsOf(await this.#writer.request({ backup: file }))
  }

  listen(listener: ChangeListener): () => void {
    if (this.#listeners.size === 0) this.#writer.tell('listen')
    this.#listeners.add(listener)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#writer.tell('unlisten')
    }
  }

  async close(): Promise<void> {
    while (this.#queue.length > 0 || this.#writer.outstanding > 0) await this.#drained()
    await this.#reads?.drained()
    await Promise.all([this.#writer.close(), this.#reader?.close()])
  }

  /** Resolves when the group that is asked next has been answered. */
  async #drained(): Promise<void> {
    await this.write('exec', ['epoch']).catch(() => undefined)
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#writer.outstanding < WINDOW) {
      const size = this.#groupSize()
      const group = this.#queue.length <= size ? this.#queue : this.#queue.slice(0, size)
      this.#queue = this.#queue.length <= size ? [] : this.#queue.slice(size)
      void this.#send(group)
    }
  }

  /** With nothing under way a long queue leaves as two groups: callers go on with the first while the second is written. */
  #groupSize(): number {
    const { length } = this.#queue
    const halved = this.#writer.outstanding === 0 && length >= WORTH_TWO
    return Math.min(GROUP, halved ? Math.ceil(length / 2) : length)
  }

  async #send(group: readonly Waiting[]): Promise<void> {
    const message: SqlValue[] = []
    for (const { name, args } of group) message.push(name, args.length, ...args)
    try {
      const response = await this.#writer.request(message)
      if ('error' in response || 'rows' in response) return failAll(group, asError(response))
      if (response.touched.length > 0 || group.some(({ name, args }) => !SILENT.has(name === 'exec' ? args[0] : name)))
        this.#notify(new Map(response.touched))
      response.answers.forEach((answer, index) => group[index]?.resolve(answer))
    } catch (error) {
      failAll(group, error)
    } finally {
      this.#flush()
    }
  }

  #notify(touched: Touched | undefined): void {
    for (const listener of this.#listeners) listener(touched)
  }
}

/** Statements and operations that are no news to anybody; what an operation of these did change, it says in `touched`. */
const SILENT: ReadonlySet<SqlValue | undefined> = new Set(['beat', 'epoch', 'promoteDue'])

function failAll(group: readonly Waiting[], error: unknown): void {
  for (const { reject } of group) reject(error)
}

/** One user's hold on a shared database. */
export class SqliteDriver implements SqlDriver {
  readonly #database: SqliteDatabase
  readonly #letGo: () => Promise<void>
  readonly #removals = new Set<() => void>()
  #closed = false

  constructor(database: SqliteDatabase, letGo: () => Promise<void>) {
    this.#database = database
    this.#letGo = letGo
  }

  async exec(statement: StatementName, params: readonly SqlValue[]): Promise<readonly Row[]> {
    const answer = await this.#open().write('exec', [statement, ...params])
    if (isFailure(answer)) throw asError(answer)
    return answer as readonly Row[]
  }

  async query(query: Query, params: readonly SqlValue[]): Promise<readonly Row[]> {
    return this.#open().read(query, params)
  }

  async transaction<K extends OperationName>(name: K, ...args: OperationArgs<K>): Promise<OperationResult<K>> {
    const answer = await this.#open().write(name, args)
    if (isFailure(answer)) throw asError(answer)
    return answer as OperationResult<K>
  }

  listen(listener: ChangeListener): () => void {
    const removal = this.#open().listen(listener)
    this.#removals.add(removal)
    return () => {
      this.#removals.delete(removal)
      removal()
    }
  }

  async backup(file: string): Promise<void> {
    await this.#open().backup(file)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const removal of this.#removals) removal()
    await this.#letGo()
  }

  /** Others may still use the database; whoever closed its own hold may not. */
  #open(): SqliteDatabase {
    if (!this.#closed) return this.#database
    throw new MusterError('STORE_CLOSED', `the record ${this.#database.file} was closed`)
  }
}

function isFailure(answer: Answer): answer is Failure {
  return typeof answer === 'object' && answer !== null && 'error' in answer && !isMusterError(answer)
}
