/**
 * Bodies: JSON text on the way, a value at both ends, checked by the queue's schema where it has one. Invariant: what was published
 * through a schema passes that schema at the other end, because it is checked as it will arrive.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { MusterError, type JsonValue } from '@muster/core'
import type { RawDelivery } from './backend.js'
import { check, type Checked, type StandardSchema } from './standard-schema.js'

/** A body that the schema accepts, as text. Throws INVALID_ARGUMENT naming the path of what does not fit. */
export function encodeChecked(schema: StandardSchema, body: unknown, what: string): string | Promise<string> {
  const text = encodeBody(body, what)
  const fitting = (checked: Checked<unknown>): string => {
    if (checked.refusal !== undefined) throw new MusterError('INVALID_ARGUMENT', checked.refusal)
    return text
  }
  const checked = check(schema, JSON.parse(text), what)
  return checked instanceof Promise ? checked.then(fitting) : fitting(checked)
}

/** What a delivered body is, by its queue's schema. */
export function decodeChecked(
  schema: StandardSchema | undefined,
  delivery: Pick<RawDelivery, 'body' | 'text'>,
): Checked<unknown> | Promise<Checked<unknown>> {
  // Looking at `body` may make it.
  const { text } = delivery
  const decoded = text === undefined ? decodeBody(delivery.body) : parse(text)
  return schema === undefined || decoded.refusal !== undefined ? decoded : check(schema, decoded.value, 'body')
}

/** A delivered body as JSON. */
export function decodeBody(bytes: Uint8Array): Checked<JsonValue> {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Nearly all bodies are ASCII, which is quicker to find out than UTF-8 is to decode.
  if (isAscii(buffer)) return parse(buffer.toString('latin1'))
  return isUtf8(buffer) ? parse(buffer.toString()) : NO_JSON
}

const NO_JSON = { refusal: 'the body is no JSON text' } as const

function parse(text: string): Checked<JsonValue> {
  try {
    return { value: JSON.parse(text) as JsonValue }
  } catch {
    return NO_JSON
  }
}

/** A body as text. Throws INVALID_ARGUMENT for what JSON cannot say. */
export function encodeBody(body: unknown, what: string): string {
  const text = stringify(body, what)
  if (text === undefined)
    throw new MusterError('INVALID_ARGUMENT', `${what}: expected a JSON value, got ${typeof body}`)
  return text
}

function stringify(body: unknown, what: string): string | undefined {
  try {
    return JSON.stringify(body)
  } catch (cause) {
    throw new MusterError('INVALID_ARGUMENT', `${what}: ${String(cause)}`, { cause })
  }
}
