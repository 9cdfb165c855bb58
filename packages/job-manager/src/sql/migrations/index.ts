/** The migrations in order. Append only: a record that has one of these keeps it for ever. */
import { createHash } from 'node:crypto'
import { record } from './001-record.js'
import { machines } from './002-machines.js'
import { queues } from './003-queues.js'

/** One step of the schema. */
export interface Migration {
  readonly number: number
  readonly sql: string
  /** SHA-256 of the text: a record made by another text of the same number is refused. */
  readonly hash: string
}

/** All steps, oldest first. */
export const MIGRATIONS: readonly Migration[] = [record, machines, queues].map((sql, index) => ({
  number: index + 1,
  sql,
  hash: createHash('sha256').update(sql).digest('hex'),
}))
