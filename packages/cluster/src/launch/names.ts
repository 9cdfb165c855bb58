/** The words that become part of a script or a path, checked: a name that passes needs no quotes and leads nowhere else. */
import { MusterError } from '@muster/core'
import { createHash } from 'node:crypto'
import type { AttemptKey } from './launcher.js'

/** The attempt's directory below `attempts/`. Throws INVALID_ARGUMENT unless id, number and token are plain words. */
export function attemptName({ jobId, attempt, token }: AttemptKey): string {
  word(jobId, 'jobId')
  word(token, 'token')
  if (!Number.isSafeInteger(attempt) || attempt < 1) throw invalid('attempt', String(attempt))
  return `${jobId}.${attempt}`
}

/** Back from a directory's name; undefined for one that we did not make. */
export function parseAttemptName(name: string): { jobId: string; attempt: number } | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9_-]*)\.([1-9]\d{0,14})$/.exec(name)
  return match ? { jobId: match[1] ?? '', attempt: Number(match[2]) } : undefined
}

/** Checks a word: letters, digits, `_` and `-`, at most 128. */
export function word(text: string, field: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(text)) throw invalid(field, text)
  return text
}

/** The number that the processes of an attempt carry: derived from its token, which it does not reveal; always 15 digits. */
export function markOf(token: string): string {
  const digest = createHash('sha256').update(`muster mark ${token}`).digest('hex')
  return String(100_000_000_000_000n + (BigInt(`0x${digest.slice(0, 16)}`) % 900_000_000_000_000n))
}

function invalid(field: string, text: string): MusterError {
  return new MusterError(
    'INVALID_ARGUMENT',
    `${field}: expected a plain word, got ${JSON.stringify(text.slice(0, 80))}`,
  )
}
