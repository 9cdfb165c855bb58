/** What the database threads are asked and answer, and how they are started. */
import type { Row, SqlValue } from './rows.js'
import type { Failure, GroupOutcome } from './sqlite-group.js'

/** How the thread is started. */
export interface ThreadSettings {
  readonly file: string
  /** Device and inode of the file that was opened first. */
  readonly identity: string
  readonly role: 'write' | 'read'
  /** How often the writer looks whether another process has written, while somebody listens, milliseconds. */
  readonly pollMs: number
}

/** One read: a statement's text or name, then its parameters. */
export type Read = readonly SqlValue[]

/** What it is asked: a group for the writer, for the reader `[text or statement name, params…]` of each read. Control words are not answered. */
export type Request =
  | readonly SqlValue[]
  | 'open'
  | 'listen'
  | 'unlisten'
  | 'close'
  | { readonly backup: string }
  | { readonly reads: readonly Read[] }
/** What it answers, in the order asked; `changed` comes unasked when another process has written. */
export type Response = GroupOutcome | { readonly rows: readonly Row[] } | Failure | 'changed'
