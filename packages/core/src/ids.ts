/** Identifiers. Job ids are uuid v7 (RFC 9562): sortable by time of birth, so indexes stay dense. */
import { randomBytes } from 'node:crypto'
import { v7 } from 'uuid'

/** A source of identifiers, injected at the root. */
export interface Ids {
  /** A new job or message id: uuid v7, monotonic within the process. */
  next(): string
  /** A new attempt token: 128 random bits as 32 hex digits. */
  token(): string
}

/** Identifiers from the system's randomness. */
export const systemIds: Ids = { next: () => v7(), token: () => randomBytes(16).toString('hex') }

/** Whether `text` has the form of a job id. */
export function isJobId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)
}
