/**
 * What travels beside a body: the message's id, priority and counts as AMQP properties. Invariant: what `seal` writes `open` reads
 * back, and nothing that the server adds on the way (x-death, CC) is ever passed on.
 */
import type { Message, Options } from 'amqplib'
import type { DeadReason } from '../../backend.js'
import { DEAD_REASONS } from '../../backend.js'

/** A message without its body. */
export interface Envelope {
  readonly id: string
  readonly priority: number
  readonly tries: number
  readonly crashes: number
  /** Epoch milliseconds, by the publisher's clock. */
  readonly publishedAt: number
  readonly death?: Death
}

/** How a dead letter died. */
export interface Death {
  readonly reason: DeadReason
  readonly detail: string
  /** Epoch milliseconds, by the clock of who buried it. */
  readonly diedAt: number
}

/** AMQP's short strings. */
const SHORT_BYTES = 255
/** All properties of a message must fit into one frame of 128 KiB, or the server ends the connection. */
const MAX_DETAIL_BYTES = 32_768

/** The properties of a message. `prioritised` is false where queues have no priorities: RabbitMQ 4 would give them a meaning of its own. */
export function seal(envelope: Envelope, prioritised: boolean): Options.Publish {
  const { id, priority, tries, crashes, publishedAt, death } = envelope
  const headers: Record<string, string | number> = { at: publishedAt }
  if (tries > 0) headers['tries'] = tries
  if (crashes > 0) headers['crashes'] = crashes
  if (!prioritised && priority !== 5) headers['priority'] = priority
  if (death) Object.assign(headers, { reason: death.reason, detail: fit(death.detail), diedAt: death.diedAt })
  const long = id.length > SHORT_BYTES / 3 && Buffer.byteLength(id) > SHORT_BYTES
  if (long) headers['id'] = id
  return {
    persistent: true,
    mandatory: true,
    headers,
    ...(!long && { messageId: id }),
    ...(prioritised && { priority }),
  }
}

/** Reads the properties back. A message that somebody else put into the queue gets what is missing. */
export function open({ properties }: Message, fallbackId: () => string): Envelope {
  const headers = properties.headers ?? {}
  const reason = DEAD_REASONS.find((one) => one === headers['reason'])
  const id: unknown = properties.messageId ?? headers['id']
  const priority = whole(properties.priority ?? headers['priority'], 5)
  return {
    id: typeof id === 'string' && id !== '' ? id : fallbackId(),
    priority: priority <= 9 ? priority : 9,
    tries: whole(headers['tries'], 0),
    crashes: whole(headers['crashes'], 0),
    publishedAt: whole(headers['at'], 0),
    ...(reason && { death: { reason, detail: String(headers['detail'] ?? ''), diedAt: whole(headers['diedAt'], 0) } }),
  }
}

function whole(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : otherwise
}

function fit(detail: string): string {
  if (Buffer.byteLength(detail) <= MAX_DETAIL_BYTES) return detail
  return `${Buffer.from(detail)
    .subarray(0, MAX_DETAIL_BYTES)
    .toString('utf8')
    .replace(/\ufffd+$/, '')}…`
}
