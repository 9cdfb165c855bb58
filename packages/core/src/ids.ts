/** Identifiers. Job ids are uuid v7 (RFC 9562): sortable by time of birth, so indexes stay dense. */
import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

/** A source of identifiers, injected at the root. */
export interface Ids {
  /** A new job or message id: uuid v7, monotonic within the process. */
  next(): string
  /** A new attempt token: 128 random bits as 32 hex digits. */
  token(): string
}

/** Identifiers from the system's randomness. */
export const systemIds: Ids = { next: () => v7(), token }

const TOKEN_BYTES = 16
/** Filled at once and used up: asking the system for each token was 0.1 ms of a short job. */
const random = Buffer.alloc(256 * TOKEN_BYTES)
let used = random.length

function token(): string {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  const text = random.toString('hex', used, used + TOKEN_BYTES)
  random.fill(0, used, (used += TOKEN_BYTES))
  return text
}

/** Whether `text` has the form of a job id. */
export function isJobId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)
}
