/**
 * The terminal as the commands see it. Standard output carries what was asked for (lines of the job, an id, JSON, a table);
 * everything that muster itself has to say goes to standard error. One live line at the bottom of a terminal, none elsewhere.
 *
 * Invariant: without a TTY not one control sequence is written, except those in a job's raw bytes under `--raw`.
 */
import { systemClock, type Clock } from '@muster/core'
import picocolors from 'picocolors'
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { Writable } from 'node:stream'
import { cut } from './render/table.js'

/** Colours, or functions that leave a text alone. */
export type Colors = Readonly<Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', (text: string) => string>>

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** Where the commands read and write. */
export class Io {
  readonly clock: Clock = systemClock
  readonly out: Output
  readonly err: Output
  readonly env: Readonly<Record<string, string | undefined>>
  /** Colours for standard error and for standard output; plain where that is no TTY. */
  readonly colors: Colors
  readonly outColors: Colors
  /** Aborted when nobody reads standard output any more: there is nothing left to do for a command that prints. */
  readonly unread: AbortSignal
  #live = ''

  constructor(out: Output, err: Output, env: Readonly<Record<string, string | undefined>>) {
    this.out = out
    this.err = err
    this.env = env
    this.colors = picocolors.createColors(wantsColour(err, env))
    this.outColors = picocolors.createColors(wantsColour(out, env))
    const gone = new AbortController()
    this.unread = gone.signal
    for (const stream of [out, err])
      stream.on('error', () => {
        gone.abort()
      })
  }

  /** Whether jobs' lines may keep their colours. */
  get showsColour(): boolean {
    return wantsColour(this.out, this.env)
  }

  /** The width to cut tables to; 0 where there is no terminal. */
  get width(): number {
    return this.out.isTTY === true ? (this.out.columns ?? 80) : 0
  }

  /** Writes a line to standard output. Waits while its reader is slow. */
  async line(text: string): Promise<void> {
    await this.bytes(`${text}\n`)
  }

  /** Writes one JSON object as a line. */
  async json(value: object): Promise<void> {
    await this.line(JSON.stringify(value))
  }

  /** Writes to standard output as it is. */
  async bytes(bytes: string | Uint8Array): Promise<void> {
    if (this.unread.aborted) return
    const shown = this.#live
    if (this.out.isTTY) this.live('')
    const free = this.out.write(bytes)
    if (this.out.isTTY) this.live(shown)
    if (!free) await once(this.out, 'drain', { signal: this.unread }).catch(() => undefined)
  }

  /** Says something to the person: a line on standard error. */
  say(text: string): void {
    const shown = this.#live
    this.live('')
    this.err.write(`${this.colors.dim('muster:')} ${text}\n`)
    this.live(shown)
  }

  /** Shows a line that the next one replaces; only on a terminal. Empty: none. */
  live(text: string): void {
    if (!this.err.isTTY || text === this.#live) return
    if (this.#live !== '') this.err.write('\r\u001b[2K')
    this.#live = text
    if (text !== '') this.err.write(cut(text, (this.err.columns ?? 80) - 1))
  }

  /** Shows what `text` gives until the returned function is called; on a terminal anew five times a second. */
  watch(text: () => string): () => void {
    if (!this.err.isTTY) return () => undefined
    let stop = (): void => undefined
    const tick = (): void => {
      this.live(text())
      stop = this.clock.after(200, tick)
    }
    tick()
    return () => {
      stop()
      this.live('')
    }
  }

  /** Asks the person at the terminal; undefined where nobody is there to answer. */
  async ask(question: string): Promise<string | undefined> {
    if (!process.stdin.isTTY || this.err.isTTY !== true) return undefined
    this.live('')
    const terminal = createInterface({ input: process.stdin, output: this.err })
    try {
      return await terminal.question(question)
    } finally {
      terminal.close()
    }
  }

  /** Does something that usually is quick; if it takes more than a second, says what it is. */
  async patiently<T>(what: string, work: (say: (text: string) => void) => Promise<T>): Promise<T> {
    let text = what
    let shown = false
    const say = (): void => {
      shown = true
      this.say(`${text} …`)
    }
    const stop = this.clock.after(1_000, say)
    try {
      return await work((news) => {
        text = news
        if (shown) say()
      })
    } finally {
      stop()
    }
  }
}

function wantsColour(stream: Output, env: Readonly<Record<string, string | undefined>>): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}
