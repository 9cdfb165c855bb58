/**
 * Dead letters, as people look at them: page by page, or all of them in a `for await`. Looking changes nothing; `redrive` and `cleanQueue`
 * do. Invariant: an iteration shows each letter that stays where it is once.
 */
import { parseWith, type JsonValue } from '@muster/core'
import type { DeadLetter as RawDeadLetter, QueueBackend } from './backend.js'
import { decodeBody } from './body.js'
import { deadLettersOptions, type DeadLettersOptions } from './options.js'

/** A message parked after its last delivery. */
export interface DeadMessage extends Omit<RawDeadLetter, 'body'> {
  /** What was published; undefined where the body is no JSON, see `bytes`. It was not checked by any schema. */
  readonly body: JsonValue | undefined
  /** The body as it is kept. */
  readonly bytes: Uint8Array
}

/** A page of dead letters, oldest first. */
export interface DeadMessagePage {
  readonly letters: readonly DeadMessage[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

/** One page of the dead letters of a queue. Throws INVALID_ARGUMENT. */
export async function pageOfDead(
  backend: QueueBackend,
  queue: string,
  options: DeadLettersOptions,
): Promise<DeadMessagePage> {
  const { limit, cursor } = parseWith(deadLettersOptions, options, 'deadLetters')
  const page = await backend.browseDead(queue, { limit, ...(cursor !== undefined && { cursor }) })
  const letters = page.letters.map(shown)
  return page.cursor === undefined ? { letters } : { letters, cursor: page.cursor }
}

/** All dead letters, fetched page by page; only the first page where the backend cannot `browse`. */
export async function* eachDead(
  page: (options: DeadLettersOptions) => Promise<DeadMessagePage>,
  options: DeadLettersOptions,
): AsyncGenerator<DeadMessage, void, undefined> {
  for (let from = options; ;) {
    const { letters, cursor } = await page(from)
    yield* letters
    if (cursor === undefined) return
    from = { ...options, cursor }
  }
}

function shown({ body: bytes, ...rest }: RawDeadLetter): DeadMessage {
  const decoded = decodeBody(bytes)
  return { ...rest, bytes, body: decoded.refusal === undefined ? decoded.value : undefined }
}
