/**
 * An output of the far shell, cut at markers. Reads only while somebody waits, so an idle channel buffers nothing and the
 * stream's own back-pressure holds.
 */
import type { Readable } from 'node:stream'
import { lost } from './lost.js'

/** What came before a marker, and the word behind it. */
export interface Marked {
  readonly bytes: Buffer
  readonly status: string
}

interface Waiter {
  readonly marker: Buffer
  /** Leaves what came before the marker to the next waiter. */
  readonly peek: boolean
  resolve(value: Marked): void
  reject(error: Error): void
}

/** Cuts a stream at `\nMARKER status\n`. */
export class MarkedOutput {
  readonly #waiters: Waiter[] = []
  #chunks: Buffer[] = []
  #size = 0
  #ended: Error | undefined

  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => this.#take(chunk))
    stream.on('error', (error: Error) => this.#end(lost(error.message, error)))
    stream.on('end', () => this.#end(lost('its output ended')))
    stream.on('close', () => this.#end(lost('it was closed')))
  }

  get open(): boolean {
    return this.#ended === undefined
  }

  /** Resolves when the marker has come; rejects with TRANSPORT_LOST when the stream ends before. */
  until(marker: string, peek = false): Promise<Marked> {
    if (this.#ended) return Promise.reject(this.#ended)
    const promise = new Promise<Marked>((resolve, reject) => {
      const waiter = { marker: Buffer.from(`\n${marker} `), peek, resolve, reject }
      if (peek) this.#waiters.unshift(waiter)
      else this.#waiters.push(waiter)
    })
    // The channel awaits both outputs together; the second rejection has nobody else to go to.
    promise.catch(() => undefined)
    return promise
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    for (let waiter = this.#waiters[0]; waiter && this.#cut(waiter); waiter = this.#waiters[0]) this.#waiters.shift()
  }

  #cut(waiter: Waiter): boolean {
    // Only the end can hold the marker, so long outputs are joined once and not at every chunk.
    const tail = this.#tail(waiter.marker.length + 16)
    if (!tail.includes(waiter.marker)) return false
    const all = Buffer.concat(this.#chunks, this.#size)
    const at = all.indexOf(waiter.marker)
    const newline = all.indexOf(10, at + waiter.marker.length)
    if (at < 0 || newline < 0) return false
    this.#chunks = [
      waiter.peek ? Buffer.concat([all.subarray(0, at), all.subarray(newline + 1)]) : all.subarray(newline + 1),
    ]
    this.#size = this.#chunks[0]?.length ?? 0
    waiter.resolve({ bytes: all.subarray(0, at), status: all.toString('latin1', at + waiter.marker.length, newline) })
    return true
  }

  #tail(length: number): Buffer {
    const last = this.#chunks.at(-1) ?? Buffer.alloc(0)
    let from = this.#chunks.length - 1
    let size = last.length
    while (from > 0 && size < last.length + length) size += this.#chunks[--from]?.length ?? 0
    return Buffer.concat(this.#chunks.slice(Math.max(from, 0)))
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }
}
