/** Reads the answer of a request: lines, and raw bytes up to a nonce on a line of its own, which no job could have known. */

/** A cursor over an answer. Past the end it gives empty lines. */
export class LineReader {
  readonly #bytes: Buffer
  readonly #nonce: Buffer
  #at = 0

  constructor(bytes: Buffer, nonce: string) {
    this.#bytes = bytes
    this.#nonce = Buffer.from(`${nonce}\n`)
  }

  line(): string {
    const end = this.#bytes.indexOf(10, this.#at)
    const stop = end < 0 ? this.#bytes.length : end
    const line = this.#bytes.toString('utf8', this.#at, stop)
    this.#at = stop + 1
    return line
  }

  /** The bytes before the next nonce, without the newline that leads it. */
  untilNonce(): Buffer {
    const found = this.#bytes.indexOf(this.#nonce, this.#at)
    const end = found < 0 ? this.#bytes.length : found
    const bytes = this.#bytes.subarray(this.#at, Math.max(this.#at, end - 1))
    this.#at = end + this.#nonce.length
    return bytes
  }

  rest(): string {
    return this.restBytes().toString('utf8')
  }

  restBytes(): Buffer {
    return this.#bytes.subarray(Math.min(this.#at, this.#bytes.length))
  }
}
