/**
 * One persistent `/bin/sh` at the other end of a byte stream, asked one script after the other: 0.2 ms a script where a new
 * session costs 2-400 ms. The protocol knows nothing of how the stream came to be, so local and ssh share it.
 *
 * A script travels as ONE line, `( eval 'quoted' ) </dev/null`, so a syntax error ends only its subshell and a line that is cut
 * in two is not executed. Its end is a marker nobody can guess, on both outputs. Shells read ahead (dash 8 KiB), so a
 * payload is sent only when the far side said READY, in pieces announced by a line with their length.
 *
 * Invariant: one request at a time; a stream that ends without the marker is TRANSPORT_LOST, never an exit code.
 */
import { ENOUGH, abortReason, quote, type ByteSource, type Clock, type RunResult } from '@muster/core'
import { once } from 'node:events'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { pieces } from './bytes.js'
import { lost } from './lost.js'
import { MarkedOutput } from './marked-output.js'

/** The far shell's three streams. */
export interface ShellStreams {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Whether these streams keep the process alive: true while a request is under way. */
  hold(active: boolean): void
  /** Drops the streams without waiting. */
  destroy(): void
}

/** What a channel needs to run one script. */
export interface ScriptRequest {
  readonly script: string
  readonly stdin?: ByteSource | undefined
  readonly signal?: AbortSignal | undefined
}

/** A login profile may be slow; one that hangs is as good as a lost connection. */
const GREETING_MS = 30_000
const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]))

/** A shell behind streams. Use {@link openChannel}. */
export class Channel {
  /** Process id of the far shell, which leads its process group: killing the group ends a request with all it started. */
  readonly pid: number
  readonly #streams: ShellStreams
  readonly #nonce: () => string
  readonly #out: MarkedOutput
  readonly #err: MarkedOutput

  constructor(
    streams: ShellStreams,
    outputs: { out: MarkedOutput; err: MarkedOutput },
    nonce: () => string,
    pid: number,
  ) {
    this.#streams = streams
    this.#nonce = nonce
    this.#out = outputs.out
    this.#err = outputs.err
    this.pid = pid
  }

  /** Whether it can take another request. */
  get usable(): boolean {
    return this.#out.open && this.#err.open && this.#streams.stdin.writable
  }

  /** Runs one script. After a rejection the channel is spent, and what it ran may still run: kill the group of `pid`. */
  async run({ script, stdin, signal }: ScriptRequest): Promise<RunResult> {
    this.#streams.hold(true)
    const request = { over: false }
    const abort = signal && watchAbort(signal)
    try {
      const asked = this.#ask(script, stdin, request)
      return await (abort ? Promise.race([asked, abort.aborted]) : asked)
    } catch (error) {
      this.destroy()
      throw error
    } finally {
      request.over = true
      abort?.forget()
      this.#streams.hold(false)
    }
  }

  destroy(): void {
    this.#streams.destroy()
  }

  async #ask(script: string, stdin: ByteSource | undefined, request: { readonly over: boolean }): Promise<RunResult> {
    const end = this.#nonce()
    // The trap tells an exit from a death by signal, which `$?` alone cannot.
    const body = `( trap 'r=$?;printf ${end}x >&2;exit $r' 0;eval ${quote(script)} )`
    const done = `r=$?;printf '\\n${end} %s\\n' $r;printf '\\n${end} \\n' >&2\n`
    const results = Promise.all([this.#out.until(end), this.#err.until(end)])
    // Awaited below; a payload that breaks on the way rejects before that.
    results.catch(() => undefined)
    if (stdin === undefined) {
      await this.#send(`${body} </dev/null;${done}`)
    } else {
      const ready = this.#nonce()
      const isReady = this.#out.until(ready, true)
      // The script may leave bytes unread; they are drained so that the shell never reads them as a script.
      const feed = `while read -r n&&[ "$n" -gt 0 ];do dd bs=65536 iflag=fullblock,count_bytes count=$n 2>/dev/null;done`
      await this.#send(`printf '\\n${ready} \\n';{ ${feed};}|{ ${body};r=$?;cat >/dev/null;exit $r;};${done}`)
      await Promise.race([isReady, results])
      for await (const piece of pieces(stdin)) {
        if (request.over) break
        await this.#send(`${piece.length}\n`)
        await this.#send(piece)
      }
      await this.#send('0\n')
    }
    const [out, err] = await results
    return outcome(Number(out.status), out.bytes, err.bytes, end)
  }

  async #send(bytes: string | Uint8Array): Promise<void> {
    if (!this.#streams.stdin.writable) throw lost('its input is closed')
    if (this.#streams.stdin.write(bytes)) return
    const drained = new AbortController()
    const done = { signal: drained.signal }
    try {
      await Promise.race([once(this.#streams.stdin, 'drain', done), once(this.#streams.stdin, 'close', done)])
    } catch (error) {
      throw lost('its input broke', error)
    } finally {
      drained.abort(ENOUGH)
    }
  }
}

/** Waits for the far shell to speak, whatever a profile printed before, and makes a channel of it. Throws TRANSPORT_LOST. */
export async function openChannel(streams: ShellStreams, nonce: () => string, clock: Clock): Promise<Channel> {
  const outputs = { out: new MarkedOutput(streams.stdout), err: new MarkedOutput(streams.stderr) }
  // Without a listener a broken pipe would end the process; the outputs report the loss.
  streams.stdin.on('error', () => streams.destroy())
  const hello = nonce()
  streams.hold(true)
  const giveUp = clock.after(GREETING_MS, () => streams.destroy())
  try {
    const greeted = Promise.all([outputs.out.until(hello), outputs.err.until(hello)])
    streams.stdin.write(`printf '\\n${hello} %s\\n' $$;printf '\\n${hello} \\n' >&2\n`)
    const [out] = await greeted
    return new Channel(streams, outputs, nonce, Number(out.status))
  } finally {
    giveUp()
    streams.hold(false)
  }
}

function outcome(status: number, stdout: Buffer, stderr: Buffer, end: string): RunResult {
  const exited = `${end}x`
  const byItself = stderr.length >= exited.length && stderr.subarray(-exited.length).equals(Buffer.from(exited))
  const said = byItself ? stderr.subarray(0, -exited.length) : stderr
  const signal = byItself ? undefined : SIGNAL_NAMES.get(status - 128)
  return signal === undefined
    ? { code: status, signal: null, stdout, stderr: said }
    : { code: null, signal, stdout, stderr: said }
}

/** Rejects when the signal aborts; `forget` ends the watch without a trace. Two closures, since every request has one. */
function watchAbort(signal: AbortSignal): { readonly aborted: Promise<never>; forget(): void } {
  let listener = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    listener = () => {
      reject(abortReason(signal))
    }
  })
  if (signal.aborted) listener()
  else signal.addEventListener('abort', listener, { once: true })
  return {
    aborted,
    forget: () => {
      signal.removeEventListener('abort', listener)
    },
  }
}
