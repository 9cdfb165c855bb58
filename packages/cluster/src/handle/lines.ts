/**
 * Bytes of a log into lines of text. Every byte of the log ends up in exactly one line (or is the newline that ends it);
 * a character that is cut by the border of two pieces is put together again; memory is bounded by {@link LINE_BYTES}.
 */

/** A line of a job's log. A longer one than 1 MiB comes in pieces; the last one may lack its newline. */
export interface LogLine {
  /** The line without its newline. Bytes that are no UTF-8 became U+FFFD; {@link JobHandle.logBytes} has them as they are. */
  readonly text: string
  readonly attempt: number
  /** Where it begins in the log of its attempt, in bytes. */
  readonly offset: number
}

/** A piece of a job's log, byte for byte. */
export interface LogPiece {
  readonly bytes: Buffer
  readonly attempt: number
  /** Where it begins in the log of its attempt, in bytes. */
  readonly offset: number
}

/** A piece, and whether it is the last of its attempt (then it may be empty). */
export interface FollowedPiece extends LogPiece {
  readonly last: boolean
}

/** The longest line kept in memory, in bytes. */
export const LINE_BYTES = 2 ** 20

const NEWLINE = 0x0a

/** Cuts the bytes of one attempt's log into lines. */
export class LineSplitter {
  readonly #attempt: number
  #rest: Buffer[] = []
  #restBytes = 0
  #offset = 0

  constructor(attempt: number) {
    this.#attempt = attempt
  }

  /** Takes the next bytes and gives the lines that are complete with them. */
  *push(bytes: Buffer): Generator<LogLine> {
    let from = 0
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      this.#keep(bytes.subarray(from, at))
      yield* this.#overlong()
      yield this.#take(this.#restBytes, 1)
      from = at + 1
    }
    this.#keep(bytes.subarray(from))
    yield* this.#overlong()
  }

  /** Gives what is left: a last line without a newline. */
  *end(): Generator<LogLine> {
    if (this.#restBytes > 0) yield this.#take(this.#restBytes, 0)
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#rest.push(bytes)
    this.#restBytes += bytes.length
  }

  *#overlong(): Generator<LogLine> {
    while (this.#restBytes > LINE_BYTES) yield this.#take(characterBorder(this.#joined(), LINE_BYTES), 0)
  }

  /** Takes `bytes` off the front as one line that `newline` further bytes end. */
  #take(bytes: number, newline: 0 | 1): LogLine {
    const all = this.#joined()
    const line = { text: all.toString('utf8', 0, bytes), attempt: this.#attempt, offset: this.#offset }
    this.#rest = bytes < all.length ? [all.subarray(bytes)] : []
    this.#restBytes = all.length - bytes
    this.#offset += bytes + newline
    return line
  }

  #joined(): Buffer {
    if (this.#rest.length > 1) this.#rest = [Buffer.concat(this.#rest)]
    return this.#rest[0] ?? Buffer.alloc(0)
  }
}

/** The last position at or before `at` that does not cut a UTF-8 character (of at most 4 bytes) in two. */
function characterBorder(bytes: Buffer, at: number): number {
  for (let back = 0; back < 4; back++) if (((bytes[at - back] ?? 0) & 0xc0) !== 0x80) return at - back
  return at
}

/** The lines of followed pieces. The last line of each attempt comes with the attempt's end, newline or not. */
export async function* logLines(pieces: AsyncIterable<FollowedPiece>): AsyncGenerator<LogLine, void, undefined> {
  let splitter: LineSplitter | undefined
  for await (const piece of pieces) {
    splitter ??= new LineSplitter(piece.attempt)
    yield* splitter.push(piece.bytes)
    if (!piece.last) continue
    yield* splitter.end()
    splitter = undefined
  }
  // Without following, the log of a running attempt just stops here.
  if (splitter) yield* splitter.end()
}
