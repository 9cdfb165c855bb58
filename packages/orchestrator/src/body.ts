/**
 * Bodies: JSON text on the way, a value at both ends, checked by the queue's schema where it has one. Invariant: what was published
 * through a schema passes that schema at the other end, because it is checked as it will arrive.
 */
import { isUtf8 } from 'node:buffer'
import { MusterError, type JsonValue } from '@muster/core'
import { check, type Checked, type StandardSchema } from './standard-schema.js'

/** A body as bytes. Throws INVALID_ARGUMENT for what JSON cannot say. */
export function encodeBody(body: unknown, what: string): Uint8Array {
  return Buffer.from(textOf(body, what))
}

/** A body that the schema accepts, as bytes. Throws INVALID_ARGUMENT naming the path of what does not fit. */
export function encodeChecked(schema: StandardSchema, body: unknown, what: string): Uint8Array | Promise<Uint8Array> {
  const text = textOf(body, what)
  const bytes = (checked: Checked<unknown>): Uint8Array => {
    if (checked.refusal !== undefined) throw new MusterError('INVALID_ARGUMENT', checked.refusal)
    return Buffer.from(text)
  }
  const checked = check(schema, JSON.parse(text), what)
  return checked instanceof Promise ? checked.then(bytes) : bytes(checked)
}

/** What a delivered body is, by its queue's schema. */
export function decodeChecked(
  schema: StandardSchema | undefined,
  bytes: Uint8Array,
): Checked<unknown> | Promise<Checked<unknown>> {
  const decoded = decodeBody(bytes)
  return schema === undefined || decoded.refusal !== undefined ? decoded : check(schema, decoded.value, 'body')
}

/** A delivered body as JSON. */
export function decodeBody(bytes: Uint8Array): Checked<JsonValue> {
  if (!isUtf8(bytes)) return { refusal: 'the body is no JSON text' }
  try {
    const { buffer, byteOffset, byteLength } = bytes
    return { value: JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString()) as JsonValue }
  } catch {
    return { refusal: 'the body is no JSON text' }
  }
}

function textOf(body: unknown, what: string): string {
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
