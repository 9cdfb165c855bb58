/**
 * What every backend refuses alike, so that a mistake is the same error everywhere. Backends call these first: after them no
 * argument is wrong, and before them nothing has happened. Nothing is clamped.
 */
import { MusterError } from '@muster/core'
import type {
  BackendCapabilities,
  Capability,
  CleanRequest,
  Extension,
  OutgoingMessage,
  QueueSettings,
  ReceiveRequest,
  Settlement,
} from './backend.js'

/** The largest body, in bytes. */
export const MAX_BODY_BYTES = 2 ** 20
/** The longest delay: 30 days. */
export const MAX_DELAY_MS = 30 * 86_400_000
/** The longest wait of one receive: 24 hours. */
export const MAX_WAIT_MS = 86_400_000
/** The most deliveries of one receive. */
export const MAX_RECEIVE = 1_000

/** Refuses a queue name that is not 1..255 characters of well-formed text. Throws INVALID_ARGUMENT. */
export function checkQueue(queue: string): void {
  checkName(queue, 'queue')
}

/** Refuses a batch of which one message is wrong. Throws INVALID_ARGUMENT or MESSAGE_TOO_LARGE, naming the index. */
export function checkMessages(messages: readonly OutgoingMessage[]): void {
  messages.forEach(({ id, body, priority, delayMs }, index) => {
    const at = `messages[${index}]`
    if (typeof body === 'string') checkText(body, at)
    else if (!(body instanceof Uint8Array)) throw wrong(`${at}.body`, 'bytes', typeof body)
    else if (body.length > MAX_BODY_BYTES) throw tooLarge(at, body.length)
    if (id !== undefined) checkName(id, `${at}.id`)
    if (priority !== undefined) checkNumber(priority, `${at}.priority`, 0, 9)
    if (delayMs !== undefined) checkNumber(delayMs, `${at}.delayMs`, 0, MAX_DELAY_MS)
  })
}

/** Refuses settings that make no sense. Throws INVALID_ARGUMENT. */
export function checkSettings({ limit, maxTries, maxCrashes }: Partial<QueueSettings>): void {
  if (limit !== undefined && limit !== null) checkNumber(limit, 'limit', 1, Number.MAX_SAFE_INTEGER)
  if (maxTries !== undefined) checkNumber(maxTries, 'maxTries', 1, 1_000_000)
  if (maxCrashes !== undefined) checkNumber(maxCrashes, 'maxCrashes', 1, 1_000_000)
}

/** Refuses a receive that asks for what no backend gives. Throws INVALID_ARGUMENT. */
export function checkReceive(
  { queue, max, waitMs, leaseMs }: ReceiveRequest,
  { maxLeaseMs }: BackendCapabilities,
): void {
  checkQueue(queue)
  checkNumber(max, 'max', 1, MAX_RECEIVE)
  checkNumber(waitMs, 'waitMs', 0, MAX_WAIT_MS)
  checkNumber(leaseMs, 'leaseMs', 1, maxLeaseMs)
}

/** Refuses a retry with an impossible delay. Throws INVALID_ARGUMENT. */
export function checkSettlements(batch: readonly Settlement[]): void {
  batch.forEach((item, index) => {
    if (item.as === 'retry') checkNumber(item.delayMs, `batch[${index}].delayMs`, 0, MAX_DELAY_MS)
  })
}

/** Refuses an extension beyond the longest lease. Throws INVALID_ARGUMENT. */
export function checkExtensions(batch: readonly Extension[], { maxLeaseMs }: BackendCapabilities): void {
  batch.forEach(({ leaseMs }, index) => {
    checkNumber(leaseMs, `batch[${index}].leaseMs`, 1, maxLeaseMs)
  })
}

/** Refuses a limit that is no count, and filters that the backend lacks. Throws INVALID_ARGUMENT or UNSUPPORTED_BY_BACKEND. */
export function checkSelection(which: CleanRequest, capabilities: BackendCapabilities): void {
  if (which.limit !== undefined) checkNumber(which.limit, 'limit', 1, Number.MAX_SAFE_INTEGER)
  if (which.olderThanMs !== undefined) checkNumber(which.olderThanMs, 'olderThanMs', 0, Number.MAX_SAFE_INTEGER)
  if (which.ids !== undefined) requireCapability(capabilities, 'byId', 'selecting messages by id')
  const filtered = which.olderThanMs !== undefined || which.state === 'ready' || which.state === 'delayed'
  if (filtered) requireCapability(capabilities, 'filteredClean', 'cleaning by state or age')
}

/** Throws UNSUPPORTED_BY_BACKEND where the capability is absent; `what` says in words what was asked for. */
export function requireCapability(capabilities: BackendCapabilities, capability: Capability, what: string): void {
  if (capabilities[capability]) return
  throw new MusterError('UNSUPPORTED_BY_BACKEND', `the ${capabilities.name} backend does not offer ${what}`, {
    details: { backend: capabilities.name, capability },
  })
}

/** Half a surrogate pair has no bytes in UTF-8: it would come back as something else. */
function checkText(text: string, at: string): void {
  if (!text.isWellFormed()) throw wrong(`${at}.body`, 'well-formed text', 'half a surrogate pair')
  // A character has three bytes at most: most texts need not be counted.
  if (text.length * 3 <= MAX_BODY_BYTES) return
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_BODY_BYTES) throw tooLarge(at, bytes)
}

function checkName(text: string, field: string): void {
  const fine =
    typeof text === 'string' &&
    text.length > 0 &&
    text.isWellFormed() &&
    (text.length <= 255 || [...text].length <= 255)
  if (!fine) throw wrong(field, '1 to 255 characters of text', text)
}

function checkNumber(value: number, field: string, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw wrong(field, `a whole number from ${min} to ${max}`, value)
}

function wrong(field: string, expected: string, got: unknown): MusterError {
  return new MusterError('INVALID_ARGUMENT', `${field}: expected ${expected}, got ${String(got).slice(0, 80)}`, {
    details: { field },
  })
}

function tooLarge(at: string, bytes: number): MusterError {
  return new MusterError(
    'MESSAGE_TOO_LARGE',
    `${at}: a body of ${bytes} bytes is above the limit of ${MAX_BODY_BYTES}`,
    {
      details: { bytes, limit: MAX_BODY_BYTES },
    },
  )
}
