/**
 * The SqlDriver seam: six members behind which SQLite and servers differ. A driver executes statements by name and operations
 * by name; what they mean is none of its business.
 *
 * Invariant: a promise of `exec` or `transaction` resolves after its commit was synced, and a change is in the record whole or
 * not at all. What runs in the same turn may share a transaction; one that is refused takes no other with it.
 */
import type { OperationArgs, OperationName, OperationResult } from '../operations/index.js'
import type { Row, SqlValue } from './rows.js'
import type { StatementName } from './statements.js'

/** A statement of the dialect's table, or text made for one query (whose parameters are bound, never interpolated). */
export type Query = StatementName | { readonly text: string }

/** New events by job (32 hex digits): of which actions they are, a bit for each, by their place in ACTIONS. */
export type Touched = ReadonlyMap<string, number>

/** Told after commits: which jobs have new events, or undefined when another process wrote anything. */
export type ChangeListener = (touched: Touched | undefined) => void

/** A record's database. */
export interface SqlDriver {
  /** One statement as a transaction of its own (grouped like any other); its rows. */
  exec(statement: StatementName, params: readonly SqlValue[]): Promise<readonly Row[]>
  /** A reading query: sees every commit that was answered before. */
  query(query: Query, params: readonly SqlValue[]): Promise<readonly Row[]>
  /** One operation, atomically. Throws what it refused with. */
  transaction<K extends OperationName>(name: K, ...args: OperationArgs<K>): Promise<OperationResult<K>>
  /** Calls back after commits of any process, this one at once. Returns the removal. */
  listen(listener: ChangeListener): () => void
  /** A consistent copy of the record, while it is used. `file` must not exist. */
  backup(file: string): Promise<void>
  /** Answers what was asked, then lets go of everything. */
  close(): Promise<void>
}
