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
/** So many characters fit whatever they are. */
const SURELY_SHORT = SHORT_BYTES / 3
/** All properties of a message must fit into one frame of 128 KiB, or the server ends the connection. */
const MAX_DETAIL_BYTES = 32_768

/**
 * The properties of a message. `prioritised` is false where queues have no priorities: RabbitMQ 4 would give them a meaning of its own.
 * The figures stand in `type`, a short string, since a table of headers costs client and server a fifth of their rate.
 */
export function seal(envelope: Envelope, prioritised: boolean): Options.Publish {
  const { id, priority, tries, crashes, publishedAt, death } = envelope
  const counted = tries > 0 || crashes > 0
  const type = counted ? `at=${publishedAt} tries=${tries} crashes=${crashes}` : `at=${publishedAt}`
  const headers: Record<string, string | number> | undefined =
    death || !prioritised || id.length > SURELY_SHORT ? headersOf(envelope, prioritised) : undefined
  return {
    persistent: true,
    mandatory: true,
    messageId: headers?.['id'] === undefined ? id : undefined,
    type,
    headers,
    priority: prioritised ? priority : undefined,
  } as Options.Publish
}

/** What has no room elsewhere. */
function headersOf({ id, priority, death }: Envelope, prioritised: boolean): Record<string, string | number> {
  return {
    ...(Buffer.byteLength(id) > SHORT_BYTES && { id }),
    ...(!prioritised && priority !== 5 && { priority }),
    ...(death && { reason: death.reason, detail: fit(death.detail), diedAt: death.diedAt }),
  }
}

/** Reads the properties back. A message that somebody else put into the queue gets what is missing. */
export function open({ properties }: Message, fallbackId: () => string): Envelope {
  const headers = properties.headers ?? {}
  const reason = DEAD_REASONS.find((one) => one === headers['reason'])
  const id: unknown = properties.messageId ?? headers['id']
  const priority = whole(properties.priority ?? headers['priority'], 5)
  const { publishedAt, tries, crashes } = figures(properties.type)
  const envelope: Envelope = {
    id: typeof id === 'string' && id !== '' ? id : fallbackId(),
    priority: priority <= 9 ? priority : 9,
    tries,
    crashes,
    publishedAt,
  }
  if (!reason) return envelope
  const detail: unknown = headers['detail']
  return {
    ...envelope,
    death: { reason, detail: typeof detail === 'string' ? detail : '', diedAt: whole(headers['diedAt'], 0) },
  }
}

function figures(type: unknown): Pick<Envelope, 'publishedAt' | 'tries' | 'crashes'> {
  const match = typeof type === 'string' ? /^at=(\d{1,15})(?: tries=(\d{1,9}) crashes=(\d{1,9}))?$/.exec(type) : null
  return { publishedAt: Number(match?.[1] ?? 0), tries: Number(match?.[2] ?? 0), crashes: Number(match?.[3] ?? 0) }
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
