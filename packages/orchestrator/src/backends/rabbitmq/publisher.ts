/**
 * Messages to the server, each confirmed by it. Invariants: never more unconfirmed than a window of messages and bytes; what is
 * reported as held was confirmed and reached a queue; what was sent when the connection broke is reported as unknown.
 */
import type { Clock, MusterError } from '@muster/core'
import type { ConfirmChannel, Message, Options } from 'amqplib'
import type { QueueKind, RabbitConfig } from './config.js'
import { operationFailed, unavailable } from './errors.js'
import type { Link } from './link.js'

/** One message for an exchange. */
export interface Parcel {
  readonly exchange: string
  readonly key: string
  readonly content: Buffer
  readonly properties: Options.Publish
  /** What the queue is that takes it first. */
  readonly takenBy: QueueKind
}

/**
 * What became of it. Of `unroutable` and `refused` nothing holds anything: no queue was there, or a quorum queue that has no leader yet, since
 * it is just being made or its server has just started.
 */
export type Sent = 'held' | 'unroutable' | 'refused' | MusterError

/**
 * Filled again when half of it is confirmed: many messages at once cost the server less than one after the other, 0.05 of amqplib's rate
 * by hand against 500 filled up one by one. 250, 500, 1,500, 2,000 and 4,000 were no faster, and more add to the time of each.
 */
const WINDOW_MESSAGES = 1_000
const REFILL_BELOW = WINDOW_MESSAGES / 2
const WINDOW_BYTES = 8 * 2 ** 20
/** Without one confirm for so long, something is wrong that the heartbeats do not show. */
const STALL_MS = 30_000
const OPEN_ATTEMPTS = 3
/** How long a call waits while the server takes no messages. */
const BLOCKED_GRACE_MS = 2_000

interface Job {
  readonly parcels: readonly Parcel[]
  readonly sent: Sent[]
  readonly stopped: () => boolean
  next: number
  open: number
  readonly done: () => void
}

/** Sends on one channel of a link, in the order of the calls. */
export class Publisher {
  readonly #link: Link
  readonly #config: RabbitConfig
  readonly #clock: Clock
  #opening: Promise<void> | undefined
  #live: ConfirmChannel | undefined
  #jobs: Job[] = []
  #inFlight = 0
  #bytes = 0
  #full = false
  /** What the server gave back and has not confirmed yet, counted: two messages may bear one id. */
  readonly #returned = new Map<string, number>()
  #confirms = 0
  #stopWatch: (() => void) | undefined

  constructor(link: Link, config: RabbitConfig, clock: Clock) {
    this.#link = link
    this.#config = config
    this.#clock = clock
    link.unblocked.on(() => this.#pump())
  }

  /**
   * Sends all and answers each by index. `stopped` is asked before each; what was not sent then is missing from the answer. Throws
   * BACKEND_UNAVAILABLE, with nothing sent, where there is no connection or the server takes no messages.
   */
  async send(parcels: readonly Parcel[], stopped: () => boolean = () => false): Promise<readonly (Sent | undefined)[]> {
    if (!this.#live) await this.#open()
    if (this.#link.blocked !== undefined) {
      await this.#unblocked(this.#link.blocked)
      await this.#open()
    }
    return new Promise((resolve) => {
      const sent: Sent[] = []
      this.#jobs.push({ parcels, sent, stopped, next: 0, open: 0, done: () => resolve(sent) })
      this.#pump()
    })
  }

  /** A channel, on the next connection if this one breaks meanwhile. */
  async #open(): Promise<void> {
    for (let attempt = 1; !this.#live; attempt++) {
      this.#opening ??= this.#make(attempt === OPEN_ATTEMPTS).finally(() => (this.#opening = undefined))
      await this.#opening
    }
  }

  async #make(last: boolean): Promise<void> {
    const model = await this.#link.ready()
    try {
      const channel = await model.createConfirmChannel()
      channel.on('error', () => undefined) // what it was shows in each message that it cost
      channel.on('return', (message: Message) => this.#give(nameOf(message.fields.routingKey, message.properties)))
      channel.on('drain', () => this.#drained(channel))
      channel.once('close', () => this.#lost(channel))
      this.#full = false
      this.#live = channel
    } catch (error) {
      if (last) throw operationFailed(this.#config.address, error, 'opening a channel to publish')
    }
  }

  /** Fills the window. A batch waits behind those that came before it, so the order of calls is the order of messages. */
  #pump(): void {
    for (let job = this.#jobs[0]; job; job = this.#jobs[0]) {
      while (job.next < job.parcels.length) {
        if (this.#full || this.#inFlight >= WINDOW_MESSAGES || this.#bytes >= WINDOW_BYTES) return
        if (this.#live === undefined || this.#link.blocked !== undefined) return
        if (job.stopped()) job.next = job.parcels.length
        else this.#one(job, this.#live)
      }
      this.#jobs.shift()
      if (job.open === 0) job.done()
    }
  }

  #one(job: Job, channel: ConfirmChannel): void {
    const index = job.next++
    const parcel = job.parcels[index]
    if (parcel === undefined) return
    const { exchange, key, content, properties } = parcel
    const confirmed = (error: unknown): void => this.#confirmed(job, index, parcel, error)
    if (!channel.publish(exchange, key, content, properties, confirmed)) this.#full = true
    job.open++
    this.#inFlight++
    this.#bytes += content.length
    this.#watch()
  }

  #confirmed(job: Job, index: number, parcel: Parcel, error: unknown): void {
    const { key, content, properties } = parcel
    this.#inFlight--
    this.#bytes -= content.length
    this.#confirms++
    job.open--
    // The server returns what it cannot route, and confirms it after that.
    const returned = this.#returned.size > 0 && this.#take(nameOf(key, properties))
    job.sent[index] = error ? this.#failed(parcel, error) : returned ? 'unroutable' : 'held'
    if (job.open === 0 && job.next >= job.parcels.length) job.done()
    // With the channel gone nothing more can be sent; `#lost` ends the rest.
    if (this.#jobs.length > 0 && this.#inFlight <= REFILL_BELOW && (!error || isNack(error))) this.#pump()
  }

  #give(name: string): void {
    this.#returned.set(name, (this.#returned.get(name) ?? 0) + 1)
  }

  #take(name: string): boolean {
    const count = this.#returned.get(name)
    if (count === undefined) return false
    if (count === 1) this.#returned.delete(name)
    else this.#returned.set(name, count - 1)
    return true
  }

  #failed({ takenBy }: Parcel, error: unknown): Sent {
    // A classic queue refuses when it fails, and then nobody knows.
    if (isNack(error) && takenBy === 'quorum') return 'refused'
    const why = isNack(error)
      ? 'the queue refused the message'
      : 'the connection broke before a message was confirmed: it may be there, or not'
    return unavailable(this.#config.address, why, error)
  }

  #drained(channel: ConfirmChannel): void {
    if (channel !== this.#live) return
    this.#full = false
    this.#pump()
  }

  /** The channel has gone, and the confirms of what it carried with it (the library has called those back). */
  #lost(channel: ConfirmChannel): void {
    if (channel !== this.#live) return
    this.#live = undefined
    this.#returned.clear()
    const jobs = this.#jobs
    this.#jobs = []
    for (const job of jobs) {
      while (job.next < job.parcels.length) job.sent[job.next++] = this.#link.unavailable()
      if (job.open === 0) job.done()
    }
  }

  /** Waits for the end of a shortage of the server, for as long as for a connection. */
  async #unblocked(reason: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        stopListening()
        stopTimer()
      }
      const stopListening = this.#link.unblocked.on(() => {
        end()
        resolve()
      })
      const stopTimer = this.#clock.after(BLOCKED_GRACE_MS, () => {
        end()
        reject(unavailable(this.#config.address, `the server takes no messages: ${reason}`))
      })
    })
  }

  #watch(): void {
    if (this.#stopWatch) return
    const seen = this.#confirms
    this.#stopWatch = this.#clock.after(STALL_MS, () => {
      this.#stopWatch = undefined
      if (this.#inFlight === 0) return
      if (this.#confirms !== seen || this.#link.blocked !== undefined) return this.#watch()
      // Closing it settles every open message as unknown.
      this.#live?.close().catch(() => undefined)
    })
  }
}

function isNack(error: unknown): boolean {
  return error instanceof Error && error.message === 'message nacked'
}

function nameOf(key: string, { messageId }: { readonly messageId?: unknown }): string {
  return `${key} ${String(messageId)}`
}
