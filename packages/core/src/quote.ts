/** The one function by which text enters a shell script. */
import { MusterError } from './errors.js'

/** Quotes `text` as one word of POSIX sh. Throws INVALID_ARGUMENT on a NUL byte, which no shell word can hold. */
export function quote(text: string): string {
  if (text.includes('\0')) throw new MusterError('INVALID_ARGUMENT', 'a NUL byte cannot be passed to a command')
  return /^[A-Za-z0-9_@%+:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
