/**
 * A few channels to one machine, opened when needed, so that one slow script (a checkout, `rm -rf`) does not hold up the
 * observation of all others. Scripts beyond that wait in order.
 *
 * Invariant: a channel serves one script at a time; one that was lost or aborted is never used again, and what it ran is killed.
 * A machine that refuses a further session makes scripts wait for the channels that there are, and nobody sees an error.
 */
import { abortReason, isMusterError, MusterError, type Clock, type RunResult } from '@muster/core'
import { openChannel, type Channel, type ScriptRequest, type ShellStreams } from './channel.js'

/** How channels to a machine come to be, and how one is ended with everything it started. */
export interface ShellSource {
  open(): Promise<ShellStreams>
  /** Kills the process group that the far shell leads. Never rejects: a machine that cannot be reached cannot be cleaned. */
  killGroup(pid: number): Promise<void>
}

/** How long a refusal of a further session is believed, milliseconds: what held the sessions may be gone. */
const FEWER_MS = 10_000

/** See the head of this file. */
export class ChannelPool {
  readonly #source: ShellSource
  readonly #size: number
  readonly #nonce: () => string
  readonly #clock: Clock
  readonly #idle: Channel[] = []
  readonly #busy = new Set<Channel>()
  readonly #waiting: ((slot: true) => void)[] = []
  readonly #chores = new Set<Promise<void>>()
  #taken = 0
  #fewer = { size: Infinity, until: -Infinity }
  #closed = false

  constructor(source: ShellSource, options: { size: number; nonce: () => string; clock: Clock }) {
    this.#source = source
    this.#size = options.size
    this.#nonce = options.nonce
    this.#clock = options.clock
  }

  /** Runs a script on a free channel. Throws TRANSPORT_LOST, TRANSPORT_CLOSED, or the signal's reason. */
  async run(request: ScriptRequest): Promise<RunResult> {
    if (request.signal?.aborted) throw abortReason(request.signal)
    for (;;) {
      await this.#slot(request.signal)
      const channel = await this.#channelOrLess()
      if (!channel) continue
      try {
        return await this.#use(channel, request)
      } finally {
        this.#release()
      }
    }
  }

  /** Waits until what aborted scripts left on the machine was killed. */
  async quiet(): Promise<void> {
    await Promise.all(this.#chores)
  }

  /** Ends all channels and what they run; waits until that is done. */
  async close(): Promise<void> {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake(true)
    for (const channel of this.#idle.splice(0)) channel.destroy()
    for (const channel of this.#busy) this.#discard(channel)
    await Promise.all(this.#chores)
  }

  async #use(channel: Channel, request: ScriptRequest): Promise<RunResult> {
    this.#busy.add(channel)
    try {
      const result = await channel.run(request)
      if (!this.#closed && channel.usable) this.#idle.push(channel)
      else channel.destroy()
      return result
    } catch (error) {
      this.#discard(channel)
      if (this.#closed) throw closedError(error)
      throw error
    } finally {
      this.#busy.delete(channel)
    }
  }

  /** A channel for the slot just taken; undefined where the machine allows no more of them than others hold now. */
  async #channelOrLess(): Promise<Channel | undefined> {
    try {
      return await this.#channel()
    } catch (error) {
      const others = this.#taken - 1
      if (!isMusterError(error, 'SSH_SESSION_REFUSED') || others === 0 || this.#closed) {
        this.#release()
        throw this.#closed ? closedError(error) : error
      }
      this.#taken = others
      this.#fewer = { size: others, until: this.#clock.monotonic() + FEWER_MS }
      return undefined
    }
  }

  /** How many channels there may be: fewer for a while after the machine refused one. */
  get #limit(): number {
    return this.#clock.monotonic() < this.#fewer.until ? Math.min(this.#fewer.size, this.#size) : this.#size
  }

  async #channel(): Promise<Channel> {
    if (this.#closed) throw closedError()
    for (let channel = this.#idle.pop(); channel; channel = this.#idle.pop()) if (channel.usable) return channel
    return openChannel(await this.#source.open(), this.#nonce, this.#clock)
  }

  #discard(channel: Channel): void {
    channel.destroy()
    const chore = this.#source.killGroup(channel.pid).finally(() => this.#chores.delete(chore))
    this.#chores.add(chore)
  }

  async #slot(signal: AbortSignal | undefined): Promise<void> {
    if (this.#taken < this.#limit) {
      this.#taken += 1
      return
    }
    let wake: (slot: true) => void = () => undefined
    let abort: () => void = () => undefined
    try {
      await new Promise<true>((resolve, reject) => {
        wake = resolve
        this.#waiting.push(wake)
        if (!signal) return
        abort = () => reject(abortReason(signal))
        signal.addEventListener('abort', abort, { once: true })
      })
    } catch (error) {
      const at = this.#waiting.indexOf(wake)
      if (at >= 0) this.#waiting.splice(at, 1)
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
    if (this.#closed) throw closedError()
  }

  /** Gives the slot back, and every slot there is to who waits longest: there are more again when a refusal was long ago. */
  #release(): void {
    this.#taken -= 1
    while (this.#taken < this.#limit) {
      const next = this.#waiting.shift()
      if (!next) return
      this.#taken += 1
      next(true)
    }
  }
}

function closedError(cause?: unknown): MusterError {
  const options = cause === undefined ? {} : { cause }
  return new MusterError('TRANSPORT_CLOSED', 'the connection to the machine was closed', options)
}
