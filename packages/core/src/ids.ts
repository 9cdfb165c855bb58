/**
 * Identifiers. Job and message ids are uuid v7 (RFC 9562): sortable by time of birth, so indexes stay dense. Invariants: the ids of a
 * process are unique and sort in the order of birth, whatever its wall clock does; those of two processes differ by 48 random bits
 * beside a counter that begins at random. Built piece by piece: the usual way, sixteen bytes to text, cost more than to queue a message.
 */
import { randomFillSync } from 'node:crypto'
import { systemClock } from './clock.js'

/** A source of identifiers, injected at the root. */
export interface Ids {
  /** A new job or message id: uuid v7, monotonic within the process. */
  next(): string
  /** A new attempt token: 128 random bits as 32 hex digits. */
  token(): string
}

/** Identifiers from the system's randomness. */
export const systemIds: Ids = { next, token }

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

/** The counter after the milliseconds: 12 bits in the third group of an id, 14 in the fourth. */
const [LOW_BITS, COUNTS] = [14, 2 ** 26]
const NODE_DIGITS = 12
const PAIRS = Array.from({ length: 256 }, (_, byte) => hex(byte, 2))
const nodes = Buffer.alloc((256 * NODE_DIGITS) / 2)
let nodeText = ''
let nodeAt = 0
let [ms, count, prefix] = [0, COUNTS, '']

function next(): string {
  const node = nextNode()
  const now = systemClock.now()
  count++
  if (now > ms || count >= COUNTS) begin(Math.max(now, ms + 1), node)
  else if ((count & (2 ** LOW_BITS - 1)) === 0) prefix = prefixOf(ms, count)
  const low = 0x8000 | (count & (2 ** LOW_BITS - 1))
  return `${prefix}${PAIRS[low >> 8]}${PAIRS[low & 0xff]}-${node}`
}

/** A new millisecond. The counter begins somewhere in its lower half, so that it seldom runs over. */
function begin(at: number, node: string): void {
  ms = at
  count = parseInt(node.slice(0, 7), 16) % (COUNTS / 2)
  prefix = prefixOf(ms, count)
}

function prefixOf(at: number, counter: number): string {
  const time = hex(at, 12)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(counter >>> LOW_BITS, 3)}-`
}

function nextNode(): string {
  if (nodeAt === nodeText.length) {
    nodeText = randomFillSync(nodes).toString('hex')
    nodeAt = 0
  }
  return nodeText.slice(nodeAt, (nodeAt += NODE_DIGITS))
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

/** Whether `text` has the form of a job id. */
export function isJobId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text)
}
