/**
 * What may be bound. libsql aborts the whole process on a boolean and cuts text at a NUL, and a lone surrogate would come back
 * as another character: so every value that goes to the database passes here, before it leaves the caller's thread.
 */
import { MusterError } from '@muster/core'
import type { SqlValue } from './rows.js'

/** Throws INVALID_ARGUMENT unless each value can be stored and read back unchanged. JSON text escapes what plain text cannot hold. */
export function checkValues(values: readonly SqlValue[]): void {
  for (const value of values) {
    if (value === null) continue
    if (typeof value === 'number') {
      if (Number.isFinite(value)) continue
      throw new MusterError('INVALID_ARGUMENT', `a number must be finite, got ${value}`)
    }
    if (typeof value !== 'string')
      throw new MusterError('INVALID_ARGUMENT', `a value must be text, a number or null, got ${typeof value}`)
    if (value.includes('\0'))
      throw new MusterError(
        'INVALID_ARGUMENT',
        `text must not contain a NUL byte: ${JSON.stringify(value.slice(0, 80))}`,
      )
    if (!value.isWellFormed())
      throw new MusterError(
        'INVALID_ARGUMENT',
        `text must be well-formed Unicode: ${JSON.stringify(value.slice(0, 80))}`,
      )
  }
}
