/**
 * Reads what a job wrote to MUSTER_RESULT. The bytes are hostile: whatever this returns can be walked, printed and stored by
 * plain recursive code, and no key of it can reach a prototype.
 */
import { MusterError, type JsonValue } from '@muster/core'

const MAX_BYTES = 64 * 1_048_576
const MAX_DEPTH = 200

/** The value of a result, undefined where the job wrote none (or nothing but blanks). Throws RESULT_INVALID. */
export function parseResult(bytes: Buffer | undefined): JsonValue | undefined {
  if (bytes === undefined) return undefined
  if (bytes.length > MAX_BYTES) throw invalid(`is ${bytes.length} bytes; at most ${MAX_BYTES} are read`)
  // Before parsing: a megabyte of brackets must not become a megabyte of nested arrays.
  if (depthOf(bytes) > MAX_DEPTH) throw invalid(`is nested deeper than ${MAX_DEPTH} levels`)
  const text = decode(bytes)
  if (text.trim() === '') return undefined
  const value = parse(text)
  if (/__proto__|\\u00/i.test(text) && hasProtoKey(value)) throw invalid('has a key __proto__')
  return value
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalid('is not UTF-8', cause)
  }
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw invalid(`is not JSON: ${(cause as SyntaxError).message}`, cause)
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

function depthOf(bytes: Buffer): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (inString) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (OPENING.has(byte)) deepest = Math.max(deepest, ++depth)
    else if (CLOSING.has(byte)) depth--
  }
  return deepest
}

function hasProtoKey(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasProtoKey)
}

function invalid(what: string, cause?: unknown): MusterError {
  return new MusterError('RESULT_INVALID', `what the job wrote to MUSTER_RESULT ${what}`, { cause })
}
