/** Bytes on their way to a machine, in pieces of a size that neither floods memory nor wastes round trips. */
import type { ByteSource } from '@muster/core'

const PIECE = 1 << 20

/** The source in pieces of at most 1 MiB, small ones joined, none of them empty. */
export async function* pieces(source: ByteSource): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let size = 0
  for await (const chunk of chunks(source)) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      const part = chunk.subarray(at, at + PIECE)
      held.push(part)
      size += part.length
      if (size < PIECE) continue
      yield* cut(Buffer.concat(held))
      held = []
      size = 0
    }
  }
  if (size > 0) yield* cut(Buffer.concat(held))
}

function* cut(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE)
}

async function* chunks(source: ByteSource): AsyncGenerator<Buffer> {
  if (typeof source === 'string') yield Buffer.from(source)
  else if (source instanceof Uint8Array) yield asBuffer(source)
  else for await (const chunk of source) yield asBuffer(chunk)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
