/**
 * Publishing, our side of it. Invariant: every message gets an outcome, and the order of a batch holds: its parts travel on one connection,
 * and where one must be repeated those after it wait for it.
 */
import { abortReason, isMusterError, MusterError } from '@muster/core'
import type { OutgoingMessage, PublishOutcome } from '../../backend.js'
import type { Desk } from './desk.js'
import { replyCode } from './errors.js'
import type { QueueKeys } from './keys.js'
import { PUBLISH, chunks, publishArguments, publishOutcomes, type Chunk } from './publish.js'

/** How many parts of a batch are under way at once: while the server works on one we write the next. */
const WINDOW = 3

/** Publishes a batch of any length. The arguments have been checked. */
export async function publish(
  desk: Desk,
  queue: string,
  messages: readonly OutgoingMessage[],
  signal: AbortSignal | undefined,
): Promise<PublishOutcome[]> {
  const keys = desk.keys(queue)
  const parts: Promise<PublishOutcome[]>[] = []
  for (const chunk of chunks(messages, desk.ids)) {
    await parts[parts.length - WINDOW]
    if (signal?.aborted) break
    parts.push(send(desk, keys, chunk, parts.at(-1)))
  }
  const outcomes = await Promise.all(parts)
  if (outcomes.length === 0 && signal?.aborted) throw abortReason(signal)
  return refuseAll(outcomes.length === 1 ? (outcomes[0] ?? []) : outcomes.flat())
}

/** One part. Never rejects: the parts before it may be in. */
async function send(
  desk: Desk,
  keys: QueueKeys,
  chunk: Chunk,
  after: Promise<unknown> | undefined,
): Promise<PublishOutcome[]> {
  try {
    const answer = await desk.once(PUBLISH, keys, publishArguments(chunk), after)
    if (answer.startsWith('1')) await desk.register(keys)
    return publishOutcomes(answer, chunk, keys.name)
  } catch (error) {
    if (!isMusterError(error)) throw error
    const typed = replyCode(error.cause) === 'OOM' ? full(keys.name, error) : error
    return chunk.ids.map((id) => ({ status: 'failed', id, error: typed }))
  }
}

function full(queue: string, cause: MusterError): MusterError {
  return new MusterError('QUEUE_FULL', `queue ${queue}: the memory of the Redis server is full (maxmemory)`, { cause })
}

/** Throws where nothing can have happened and nobody could be asked: an error of the call, not of its messages. */
function refuseAll(outcomes: PublishOutcome[]): PublishOutcome[] {
  const [first] = outcomes
  if (first?.status !== 'failed' || first.error.code === 'QUEUE_FULL') return outcomes
  const nowhere = ({ error }: { readonly error: MusterError }): boolean =>
    error.code !== 'QUEUE_FULL' && error.details['unconfirmed'] !== true
  if (outcomes.every((outcome) => outcome.status === 'failed' && nowhere(outcome))) throw first.error
  return outcomes
}
