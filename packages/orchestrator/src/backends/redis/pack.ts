/**
 * MessagePack, as much of it as travels between us and our scripts: texts, bytes, arrays. One packed argument instead of two thousand is
 * what makes large batches cheap on both sides: Redis allocates an object per argument, and `cmsgpack` reads this in C.
 *
 * Invariant: what `pack` writes, `cmsgpack.unpack` of Redis 6.2 and newer reads; what `cmsgpack.pack` writes of texts, `unpackTexts` reads.
 */

/** What can be packed. */
export type Packable = string | Uint8Array | readonly Packable[]

const SHORT = 2 ** 8

/** The value as MessagePack. */
export function pack(value: Packable): Buffer {
  const buffer = Buffer.allocUnsafe(sizeOf(value))
  return buffer.subarray(0, write(buffer, value, 0))
}

/** At most how many bytes a value takes: a text has at most three for each of its characters. */
function sizeOf(value: Packable): number {
  if (typeof value === 'string') return 5 + value.length * 3
  if (value instanceof Uint8Array) return 5 + value.length
  let size = 5
  for (const item of value) size += sizeOf(item)
  return size
}

function write(buffer: Buffer, value: Packable, at: number): number {
  if (typeof value === 'string') return writeText(buffer, value, at)
  if (value instanceof Uint8Array) {
    const start = writeLength(buffer, value.length, at)
    buffer.set(value, start)
    return start + value.length
  }
  buffer[at] = 0xdd
  buffer.writeUInt32BE(value.length, at + 1)
  let end = at + 5
  for (const item of value) end = write(buffer, item, end)
  return end
}

/** A text without knowing its length in bytes beforehand: the room for the length is chosen by what it can be at most. */
function writeText(buffer: Buffer, text: string, at: number): number {
  if (text.length * 3 < SHORT) {
    const length = buffer.write(text, at + 2)
    buffer[at] = 0xd9
    buffer[at + 1] = length
    return at + 2 + length
  }
  const length = buffer.write(text, at + 5)
  buffer[at] = 0xdb
  buffer.writeUInt32BE(length, at + 1)
  return at + 5 + length
}

function writeLength(buffer: Buffer, length: number, at: number): number {
  if (length < SHORT) {
    buffer[at] = 0xd9
    buffer[at + 1] = length
    return at + 2
  }
  buffer[at] = 0xdb
  buffer.writeUInt32BE(length, at + 1)
  return at + 5
}

/** The texts of an array that `cmsgpack.pack` wrote. */
export function unpackTexts(buffer: Buffer): string[] {
  const head = buffer[0] ?? 0
  let [count, at] = [head & 0x0f, 1]
  if (head === 0xdc) [count, at] = [buffer.readUInt16BE(1), 3]
  else if (head === 0xdd) [count, at] = [buffer.readUInt32BE(1), 5]
  const texts: string[] = []
  while (texts.length < count) {
    const [start, length] = textAt(buffer, at)
    at = start + length
    texts.push(buffer.toString('utf8', start, at))
  }
  return texts
}

/** Where the text that begins at `at` has its bytes, and how many. */
function textAt(buffer: Buffer, at: number): [start: number, length: number] {
  const head = buffer[at] ?? 0
  if (head === 0xd9) return [at + 2, buffer[at + 1] ?? 0]
  if (head === 0xda) return [at + 3, buffer.readUInt16BE(at + 1)]
  if (head === 0xdb) return [at + 5, buffer.readUInt32BE(at + 1)]
  return [at + 1, head & 0x1f]
}
