/**
 * The names, settings and pauses of all queues of a namespace, kept on the server: a stream of changes that every process reads from its
 * beginning and then follows. So a pause reaches every process within milliseconds, settings belong to the queue, and the listing needs
 * no management API. (A message in a queue could be read by one process at a time only; a stream is read by all.)
 *
 * Invariants: two changes are never lost to each other, since each names only what it changes and the stream gives them one order;
 * after a wipe of the server whoever still knows a queue writes it down again.
 */
import { isMusterError, MusterError, type Clock, type Logger } from '@muster/core'
import type { Channel, ConsumeMessage } from 'amqplib'
import type { QueueSettings } from '../../backend.js'
import type { Desk } from './desk.js'
import { NOT_FOUND } from './errors.js'
import type { Link } from './link.js'
import type { Publisher } from './publisher.js'
import { Signal } from './signal.js'

/** What the registry knows of a queue. */
export interface Entry {
  readonly settings: Partial<QueueSettings>
  /** Undefined where no record says so or so: it is not paused. */
  readonly paused: boolean | undefined
}

/** One record of the stream. */
interface Change {
  readonly queue?: string
  readonly settings?: Partial<QueueSettings>
  readonly paused?: boolean
}

/** What the registry stands on. */
export interface RegistryDeps {
  readonly link: Link
  readonly desk: Desk
  readonly publisher: Publisher
  readonly clock: Clock
  readonly logger: Logger
}

const PREFETCH = 1_000
/** A stream that shows no last record for so long is empty; if it was only slow, a needless record is all that comes of it. */
const EMPTY_AFTER_MS = 60
/** How long a server that has started may take to open the stream, and how often that is looked at. */
const [OPENING_MS, OPENING_LOOK_MS] = [10_000, 200]
const CAUGHT_UP_WITHIN_MS = 10_000

/** The registry of one namespace. */
export class Registry {
  /** An entry is new, or changed. */
  readonly changed = new Signal<string>()
  readonly #deps: RegistryDeps
  readonly #stream: string
  #entries = new Map<string, Entry>()
  #following: Channel | undefined
  #offset = -1
  readonly #moved = new Signal()
  #closed = false

  constructor(stream: string, deps: RegistryDeps) {
    this.#stream = stream
    this.#deps = deps
    deps.link.up.on(() => this.#again())
  }

  /** Reads all there is and goes on following. */
  async open(): Promise<void> {
    await this.#follow()
  }

  /** What is known of a queue. */
  get(queue: string): Entry | undefined {
    return this.#entries.get(queue)
  }

  /** Names of all queues, after reading what others have written until now. */
  async list(): Promise<readonly string[]> {
    await this.#catchUp()
    return [...this.#entries.keys()].sort()
  }

  /** Makes the queue known, if it is not. */
  async enter(queue: string): Promise<void> {
    if (!this.#entries.has(queue)) await this.#write([{ queue }])
  }

  /** Writes a change down, unless it changes nothing, and resolves when this process goes by it. */
  async change(queue: string, change: Omit<Change, 'queue'>): Promise<void> {
    await this.#catchUp()
    const entry = this.#entries.get(queue)
    const settings = Object.entries(change.settings ?? {})
    const same =
      entry !== undefined &&
      (change.paused ?? entry.paused ?? false) === (entry.paused ?? false) &&
      settings.every(([key, value]) => Object.entries(entry.settings).some(([k, v]) => k === key && v === value))
    if (same) return
    await this.#write([{ queue, ...change }])
    await this.#catchUp()
  }

  /** Stops following. */
  close(): void {
    this.#closed = true
  }

  async #write(changes: readonly Change[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const parcels = changes.map((change) => ({
        exchange: '',
        key: this.#stream,
        content: Buffer.from(JSON.stringify(change)),
        properties: { persistent: true, mandatory: true, contentType: 'application/json' },
      }))
      const sent = await this.#deps.publisher.send(parcels)
      const error = sent.find((one) => isMusterError(one))
      if (error && attempt === 3) throw error
      if (sent.every((one) => one === 'held')) break
      if (!error) await this.#declare()
    }
  }

  /** A server that has just started answers before it has opened its streams: this one is waited for. */
  async #declare(): Promise<void> {
    const what = 'declaring the registry of queues (a stream: RabbitMQ 3.9 or newer)'
    const options = { durable: true, arguments: { 'x-queue-type': 'stream' } }
    const make = async (channel: Channel): Promise<boolean> => {
      await channel.assertQueue(this.#stream, options)
      return true
    }
    const until = this.#deps.clock.monotonic() + OPENING_MS
    while (this.#deps.clock.monotonic() < until && !this.#closed) {
      if (await this.#deps.desk.ask(what, make, { on: { [NOT_FOUND]: () => false } })) return
      await new Promise<void>((resolve) => this.#deps.clock.after(OPENING_LOOK_MS, resolve))
    }
    await this.#deps.desk.ask(what, make)
  }

  #again(): void {
    this.#following = undefined
    this.#follow().catch((error: unknown) => {
      if (this.#closed) return
      this.#deps.logger.warn({ err: error }, 'the registry of queues cannot be read; trying again')
      this.#deps.clock.after(500, () => {
        if (!this.#closed && !this.#following) this.#again()
      })
    })
  }

  /** Reads from the first record on: after a wipe of the server the records are others, whatever their numbers. */
  async #follow(): Promise<void> {
    const model = await this.#deps.link.ready()
    const known = this.#entries
    await this.#declare()
    const channel = await model.createChannel()
    channel.on('error', () => undefined) // shows as the end of the channel
    await channel.prefetch(PREFETCH)
    const fresh = new Map<string, Entry>()
    let entries = fresh
    this.#following = channel
    this.#offset = -1
    const read = (message: ConsumeMessage | null): void => {
      if (this.#following !== channel) return
      if (message === null) {
        channel.close().catch(() => undefined) // gone with its connection: closed all the same
        return this.#again()
      }
      channel.ack(message)
      const queue = apply(entries, message)
      this.#offset = offsetOf(message)
      if (queue !== undefined && entries === this.#entries) this.changed.emit(queue)
      this.#moved.emit()
    }
    channel.once('close', () => {
      if (this.#following === channel && this.#deps.link.current === model && !this.#closed) this.#again()
    })
    await channel.consume(this.#stream, read, { arguments: { 'x-stream-offset': 'first' } })
    await this.#catchUp()
    const lost = missing(known, fresh)
    for (const change of lost) note(fresh, change)
    entries = this.#entries = fresh
    for (const queue of fresh.keys()) this.changed.emit(queue)
    if (lost.length > 0) await this.#write(lost)
  }

  /** Resolves when all has been read that was written until now. */
  async #catchUp(): Promise<void> {
    let last = await this.#last()
    const until = this.#deps.clock.monotonic() + CAUGHT_UP_WITHIN_MS
    if (last === undefined) await this.#begin()
    // From then on there is a last record. A server under way to its feet may take its time to show it, and to go by less than all
    // would be to forget a pause.
    while (last === undefined) {
      last = await this.#last()
      if (last === undefined && this.#deps.clock.monotonic() > until) throw tooSlow()
    }
    const target = last
    if (this.#offset >= target) return
    await new Promise<void>((resolve, reject) => {
      const stopListening = this.#moved.on(() => {
        if (this.#offset < target) return
        stopListening()
        stopTimer()
        resolve()
      })
      const stopTimer = this.#deps.clock.after(CAUGHT_UP_WITHIN_MS, () => {
        stopListening()
        reject(tooSlow())
      })
    })
  }

  /** The number of the last record, or undefined where there is none. */
  async #last(): Promise<number | undefined> {
    const what = 'reading the registry of queues'
    const read = async (channel: Channel): Promise<number | undefined> => {
      let last: number | undefined
      const arrival = new Signal()
      await channel.prefetch(PREFETCH)
      const take = (message: ConsumeMessage | null): void => {
        if (message === null) return
        channel.ack(message)
        last = offsetOf(message)
        arrival.emit()
      }
      const { consumerTag } = await channel.consume(this.#stream, take, { arguments: { 'x-stream-offset': 'last' } })
      if (last === undefined) await this.#within(EMPTY_AFTER_MS, arrival)
      // All that came with it is there when the server has confirmed the end.
      await channel.cancel(consumerTag)
      return last
    }
    return this.#deps.desk.ask<number | undefined>(what, read, { on: { [NOT_FOUND]: () => undefined } })
  }

  /** Resolves at the next signal, or after `ms`. */
  #within(ms: number, signal: Signal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        stopListening()
        stopTimer()
        resolve()
      }
      const stopListening = signal.on(end)
      const stopTimer = this.#deps.clock.after(ms, end)
    })
  }

  async #begin(): Promise<void> {
    await this.#declare()
    const content = Buffer.from('{}')
    await this.#deps.publisher.send([
      { exchange: '', key: this.#stream, content, properties: { persistent: true, mandatory: true } },
    ])
  }
}

function tooSlow(): MusterError {
  return new MusterError('BACKEND_UNAVAILABLE', 'RabbitMQ: the registry of queues could not be read in time')
}

function offsetOf(message: ConsumeMessage): number {
  return Number(message.properties.headers?.['x-stream-offset'] ?? 0)
}

/** Applies a record; gives the queue that it is about. What cannot be read is of a newer version, and left out. */
function apply(entries: Map<string, Entry>, message: ConsumeMessage): string | undefined {
  try {
    const change = JSON.parse(message.content.toString('utf8')) as Change
    if (typeof change.queue !== 'string') return undefined
    note(entries, change)
    return change.queue
  } catch {
    return undefined
  }
}

function note(entries: Map<string, Entry>, { queue = '', settings, paused }: Change): void {
  const before = entries.get(queue)
  entries.set(queue, { settings: { ...before?.settings, ...settings }, paused: paused ?? before?.paused })
}

/**
 * What was known and no record says any more: a server that was killed can show fewer records than it had confirmed. A pause that
 * was forgotten would let go what an operator holds back.
 */
function missing(known: ReadonlyMap<string, Entry>, fresh: ReadonlyMap<string, Entry>): Change[] {
  return [...known].flatMap(([queue, { settings, paused }]) => {
    const now = fresh.get(queue)
    const gone = Object.entries(settings).filter(([key]) => !Object.hasOwn(now?.settings ?? {}, key))
    const pause = paused === true && now?.paused === undefined
    if (now && !pause && gone.length === 0) return []
    return [{ queue, settings: Object.fromEntries(gone), ...(pause && { paused }) }]
  })
}
