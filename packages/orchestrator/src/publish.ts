/**
 * Messages on their way in: encoded, checked by the queue's schema, and what the backend answered put into words. Invariant: a misspelt
 * option is an error, found without parsing each message: the backend checks the values, here only the keys are looked at.
 */
import { MusterError, parseWith } from '@muster/core'
import type { OutgoingMessage, PublishOutcome } from './backend.js'
import { encodeBody, encodeChecked } from './body.js'
import { batchMessage, publishOptions, type PublishOptions } from './options.js'
import type { KnownQueue } from './queue-definition.js'

/** A message that the backend holds. */
export interface Published {
  readonly id: string
  /** Whether a message with this id was there before; nothing was changed then. */
  readonly duplicate: boolean
}

/** A message of a batch. */
export interface BatchMessage<T> extends Omit<PublishOptions, 'signal'> {
  readonly body: T
}

const PUBLISH_KEYS = new Set(['id', 'priority', 'delayMs', 'signal'])
const MESSAGE_KEYS = new Set(['body', 'id', 'priority', 'delayMs'])

/** One message for the seam. Throws INVALID_ARGUMENT. */
export async function outgoing(queue: KnownQueue, body: unknown, options: PublishOptions): Promise<OutgoingMessage> {
  if (!onlyHas(options, PUBLISH_KEYS)) parseWith(publishOptions, options, 'publish')
  return message(await encode(queue, body, 'message'), options)
}

/** Many messages for the seam. Throws INVALID_ARGUMENT naming the index. */
export async function outgoingBatch(
  queue: KnownQueue,
  messages: readonly BatchMessage<unknown>[],
): Promise<readonly OutgoingMessage[]> {
  const batch: OutgoingMessage[] = []
  for (const [index, one] of messages.entries()) {
    if (!onlyHas(one, MESSAGE_KEYS)) parseWith(batchMessage, one, `messages[${index}]`)
    const text = encode(queue, one.body, `messages[${index}]`)
    batch.push(message(typeof text === 'string' ? text : await text, one))
  }
  return batch
}

/** What became of one. */
export function published({ id, status }: PublishOutcome): Published {
  return { id, duplicate: status === 'duplicate' }
}

/** Throws PUBLISH_INCOMPLETE where some were refused. */
export function refuseFailures(queue: string, outcomes: readonly PublishOutcome[]): void {
  const failures = outcomes.flatMap((outcome, index) =>
    outcome.status === 'failed'
      ? [{ index, id: outcome.id, code: outcome.error.code, retryable: outcome.error.retryable }]
      : [],
  )
  if (failures.length === 0) return
  const text = `queue ${queue}: ${failures.length} of ${outcomes.length} messages were not accepted (${failures[0]?.code})`
  throw new MusterError('PUBLISH_INCOMPLETE', text, {
    details: { failures },
    retryable: failures.every(({ retryable }) => retryable),
  })
}

function encode({ schema }: KnownQueue, body: unknown, what: string): string | Promise<string> {
  return schema === undefined ? encodeBody(body, what) : encodeChecked(schema, body, what)
}

/** The fields without those that are undefined: for the seam, absent means absent. */
function message(body: string, { id, priority, delayMs }: Omit<PublishOptions, 'signal'>): OutgoingMessage {
  if (id === undefined && priority === undefined && delayMs === undefined) return { body }
  return {
    body,
    ...(id !== undefined && { id }),
    ...(priority !== undefined && { priority }),
    ...(delayMs !== undefined && { delayMs }),
  }
}

function onlyHas(value: object, keys: ReadonlySet<string>): boolean {
  if (typeof value !== 'object' || value === null) return false
  for (const key in value) if (!keys.has(key)) return false
  return true
}
