/** SQLite's errors as ours. libsql gives extended codes, sometimes none at all; only the low byte is reliable. */
import { MusterError, type ErrorCode } from '@muster/core'
import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'

const CODES: Readonly<Record<number, ErrorCode>> = {
  5: 'STORE_BUSY',
  6: 'STORE_BUSY',
  8: 'STORE_READ_ONLY',
  11: 'STORE_CORRUPT',
  13: 'STORE_FULL',
  14: 'STORE_NOT_FOUND',
  26: 'STORE_CORRUPT',
}
const IO_ERROR = 10
const DATABASE_MOVED = 1032
const CANNOT_OPEN = /: 14$/

/** The primary result code of an error of libsql, 0 where it carries none. */
export function resultCode(error: unknown): number {
  if (!(error instanceof Error)) return 0
  if ('rawCode' in error && typeof error.rawCode === 'number') return error.rawCode & 0xff
  return CANNOT_OPEN.test(error.message) ? 14 : 0
}

/** Whether another connection holds the lock that a statement needed. */
export function isBusy(error: unknown): boolean {
  return resultCode(error) === 5
}

/** Translates what libsql, Node's fs or one of our triggers threw. A MusterError passes through. */
export function storeError(error: unknown, file: string): MusterError {
  if (error instanceof MusterError) return error
  const message = error instanceof Error ? error.message : String(error)
  const illegal = /ILLEGAL_TRANSITION (.*)/.exec(message)
  if (illegal)
    return new MusterError('ILLEGAL_TRANSITION', `the table has no way ${illegal[1] ?? ''}`, { cause: error })
  const moved = error instanceof Error && 'rawCode' in error && error.rawCode === DATABASE_MOVED
  // A file that cannot grow (the shared memory's, say) is an I/O error to SQLite; to people the disk is full.
  const full = resultCode(error) === IO_ERROR && hasNoRoom(file)
  const code = moved ? 'STORE_REPLACED' : full ? 'STORE_FULL' : (CODES[resultCode(error)] ?? fileCode(error))
  return new MusterError(code, `${file}: ${message}`, { cause: error })
}

function hasNoRoom(file: string): boolean {
  try {
    return statfsSync(dirname(file)).bavail < 16
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOSPC'
  }
}

function fileCode(error: unknown): ErrorCode {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'STORE_NOT_FOUND'
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return 'STORE_READ_ONLY'
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'STORE_FULL'
  return 'STORE_FAILED'
}
