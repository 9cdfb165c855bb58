/**
 * Rows as they cross the seam: arrays of primitives in a fixed order (the cheapest thing to send between threads), and objects
 * where code works on them. A row type's field list is the order of its columns.
 */

/** What a driver binds and returns. Booleans are 0 and 1; ids and tokens cross as hex digits. */
export type SqlValue = string | number | null
/** A row, in the order of the statement's columns. */
export type Row = readonly SqlValue[]

/** A job's row, all of it. `id` is 32 hex digits; members that are structures are JSON text. */
export interface JobRow {
  n: number
  id: string
  worker: string
  state: number
  reason: string | null
  attempt: number
  failures: number
  unstarted: number
  priority: number
  external: number
  queue: string
  owner: string
  labels: string | null
  conditions: string | null
  machine: string | null
  exit_code: number | null
  signal: string | null
  progress: string | null
  created: number
  updated: number
  run_at: number | null
  started: number | null
  ended: number | null
  spec: string
  payload: string
  result: string | null
}

/** An attempt's row. */
export interface AttemptRow {
  job: number
  no: number
  token: string
  epoch: number
  open: number
  machine: string
  gpus: string | null
  tree: string | null
  placed: number
  started: number | null
  ended: number | null
  outcome: string | null
  exit_code: number | null
  signal: string | null
  unconfirmed: number
  collecting: number
  detail: string | null
  files: string | null
}

/** 32 hex digits as a uuid. */
export function uuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A uuid as 32 hex digits. */
export const hexOf = (id: string): string => id.replaceAll('-', '')

/** The columns of {@link JobRow}, in order. */
export const JOB_COLUMNS = (
  'n id worker state reason attempt failures unstarted priority external queue owner labels conditions machine ' +
  'exit_code signal progress created updated run_at started ended spec payload result'
).split(' ')
/** The columns of {@link AttemptRow}, in order. */
export const ATTEMPT_COLUMNS = (
  'job no token epoch open machine gpus tree placed started ended outcome exit_code signal unconfirmed collecting ' +
  'detail files'
).split(' ')

/** The first columns of a row as an object. */
export function jobRow(row: Row): JobRow {
  return zip(JOB_COLUMNS, row, 0) as JobRow
}

/** An attempt's row as an object; `from` is where its columns begin. */
export function attemptRow(row: Row, from = 0): AttemptRow {
  return zip(ATTEMPT_COLUMNS, row, from) as AttemptRow
}

/** A row object as the array it came from. */
export function values(row: JobRow | AttemptRow): Row {
  return Object.values(row) as SqlValue[]
}

function zip(names: readonly string[], row: Row, from: number): object {
  const result: Record<string, SqlValue> = {}
  for (let index = 0; index < names.length; index++) result[names[index] ?? ''] = row[from + index] ?? null
  return result
}
