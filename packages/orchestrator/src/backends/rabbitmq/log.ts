/**
 * The log of the registry: one durable queue that holds every change until others say all that it says. Who reads takes all messages out
 * and gives them back, so only one may read at a time: the queue serves a single active consumer, and the next in turn only when
 * the channel of the one before has ended and everything on it has gone back, in one step of the server.
 *
 * Invariants: nothing leaves the log before the server has confirmed what says the same; a reading ends at a message that it wrote itself
 * when its turn had come, so no hesitation of the server is taken for the end; the log is never empty, since who gets nothing does
 * not know that it is its turn.
 */
import type { Clock, Ids } from '@muster/core'
import type { Channel, Options } from 'amqplib'
import { closeChannel } from './client.js'
import type { QueueKind, RabbitConfig } from './config.js'
import type { Desk } from './desk.js'
import { NOT_FOUND, operationFailed, unavailable } from './errors.js'
import { makeLasting } from './lasting.js'
import type { Link } from './link.js'
import { KEYS, type RegistryNames } from './names.js'
import { Reading, type Look } from './reading.js'
import { encode, type RegistryRecord } from './records.js'
import { plainOptions } from './topology.js'
import { KINDS, type Saying, type Voice } from './voice.js'

/** What the log stands on. */
export interface LogDeps {
  readonly link: Link
  readonly desk: Desk
  readonly voice: Voice
  readonly config: RabbitConfig
  readonly names: RegistryNames
  readonly clock: Clock
  readonly ids: Ids
}

/** A turn comes within milliseconds, but for a reader that froze: the server ends it after three heartbeats. */
const TURN_MARGIN_MS = 5_000
const DECLARE_ATTEMPTS = 5
/** So many are read at once, at most. */
const MANY = 20_000
/** While no end can be written: what arrived is all when the server counts nothing more so many times. */
const [LOOK_MS, LOOKS] = [50, 4]

/** The log of one namespace. */
export class RegistryLog {
  readonly #deps: LogDeps

  constructor(deps: LogDeps) {
    this.#deps = deps
  }

  /** Makes sure that it is there; says whether it was not. Whoever was first decides of which kind it is. */
  async declare(): Promise<boolean> {
    const { desk, names, config } = this.#deps
    const what = 'declaring the registry of queues'
    const bind = async (channel: Channel): Promise<void> => {
      await channel.assertExchange(names.exchange, 'direct', { durable: true })
      await channel.bindQueue(names.log, names.exchange, KEYS.change)
    }
    const find = async (channel: Channel): Promise<boolean> => {
      await channel.checkQueue(names.log)
      await bind(channel)
      return true
    }
    const make = async (channel: Channel): Promise<boolean> => {
      await channel.assertQueue(names.log, logOptions(config.queueKind))
      await bind(channel)
      await makeLasting(channel, { queue: names.log, kind: config.queueKind, exchange: names.exchange })
      return true
    }
    const not = (): boolean => false
    for (let attempt = 1; ; attempt++) {
      if (await desk.ask(what, find, { on: { [NOT_FOUND]: not } })) return false
      // Somebody else may be making it as another kind.
      const on = attempt < DECLARE_ATTEMPTS ? { [NOT_FOUND]: not, [DIFFERS]: not } : {}
      if (await desk.ask(what, make, { on })) return true
    }
  }

  /** Whether it is there. */
  async exists(): Promise<boolean> {
    return (await this.#ready()) !== undefined
  }

  /**
   * Reads all of it when its turn comes. `absorb` gets what the log says and gives what it should say beside that, which is in it before
   * anybody else reads. False: the server is short of memory; nothing was written then. Throws BACKEND_UNAVAILABLE.
   */
  async read(absorb: (records: readonly RegistryRecord[]) => readonly RegistryRecord[]): Promise<boolean> {
    const { voice, clock, config } = this.#deps
    const channel = await this.#channel()
    const reading = new Reading(channel)
    const stopNudging = voice.onBlocked(() => reading.nudge())
    const patience = 3 * config.heartbeatS * 1_000 + TURN_MARGIN_MS
    const stopTimer = clock.after(patience, () => reading.fail(this.#failed('another process is still reading it')))
    try {
      if (!(await this.#ready()) && !voice.blocked) await this.#say([{ key: this.#log, type: KINDS.begin }])
      await reading.begin(this.#log, () => this.#failed('the connection broke, or the queue was deleted'))
      const { whole, records } = await this.#toTheEnd(reading)
      const lacking = absorb(records)
      if (whole) {
        await this.write(lacking)
        await this.#tidy(reading)
        await reading.until(() => true) // or it was deleted meanwhile
      }
      return whole
    } catch (error) {
      throw operationFailed(config.address, error, WHAT)
    } finally {
      stopTimer()
      stopNudging()
      // Never a cancel before it: that would let the next one read while messages are still out here.
      await closeChannel(channel)
    }
  }

  /** Makes records known to all. False: something of the registry is not there. Throws BACKEND_UNAVAILABLE. */
  async write(records: readonly RegistryRecord[]): Promise<boolean> {
    const { voice, names } = this.#deps
    return voice.say(
      records.map((record) => ({
        exchange: names.exchange,
        key: KEYS.change,
        type: KINDS.record,
        content: encode(record),
      })),
    )
  }

  get #log(): string {
    return this.#deps.names.log
  }

  /** `whole`: up to an end of our own. Not so: the server takes none, and everything that it counts has arrived. */
  async #toTheEnd(reading: Reading): Promise<{ whole: boolean; records: readonly RegistryRecord[] }> {
    const { voice, ids } = this.#deps
    const records: RegistryRecord[] = []
    // The first message says that it is our turn; an end that was written before would be read by whose turn it is.
    await reading.until(() => reading.size > 0)
    const id = ids.next()
    try {
      await this.#say([{ key: this.#log, type: KINDS.end, id }])
      for (;;) {
        await reading.until(() => reading.reached(id) || reading.size >= MANY)
        if (reading.reached(id)) return { whole: true, records: [...records, ...reading.records] }
        // A channel can have only so many out: those that are read make room.
        records.push(...reading.records)
        await this.#rewrite(reading, reading.look())
      }
    } catch (error) {
      if (!voice.blocked) throw error
      await this.#toTheCount(reading)
      return { whole: false, records: [...records, ...reading.records] }
    }
  }

  async #tidy(reading: Reading): Promise<void> {
    const look = reading.look()
    if (look.due) await this.#rewrite(reading, look)
    else reading.removeEnds()
  }

  /** What stays is behind all else when the rest goes: so nothing is lost where this ends half-way, but some is there twice. */
  async #rewrite(reading: Reading, { tag, stay }: Look): Promise<void> {
    const copies = stay.map(({ type, content }) => ({ key: this.#log, type, content }))
    await this.#say(copies.length > 0 ? copies : [{ key: this.#log, type: KINDS.begin }])
    reading.remove(tag)
  }

  async #toTheCount(reading: Reading): Promise<void> {
    for (let [looks, seen] = [0, -1]; looks < LOOKS;) {
      await new Promise<void>((resolve) => this.#deps.clock.after(LOOK_MS, resolve))
      const more = (await this.#ready()) !== 0 || reading.size !== seen
      looks = more ? 0 : looks + 1
      seen = reading.size
      await reading.until(() => true)
    }
  }

  async #say(sayings: readonly Saying[]): Promise<void> {
    if (!(await this.#deps.voice.say(sayings))) throw this.#failed('the queue was deleted')
  }

  /** How many messages wait in it; undefined where it is not there. */
  async #ready(): Promise<number | undefined> {
    const count = async (channel: Channel): Promise<number | undefined> =>
      (await channel.checkQueue(this.#log)).messageCount
    return this.#deps.desk.ask<number | undefined>(WHAT, count, { on: { [NOT_FOUND]: () => undefined } })
  }

  async #channel(): Promise<Channel> {
    const model = await this.#deps.link.ready()
    try {
      const channel = await model.createChannel()
      channel.on('error', () => undefined) // shows as its end
      return channel
    } catch (error) {
      throw operationFailed(this.#deps.config.address, error, WHAT)
    }
  }

  #failed(why: string) {
    return unavailable(this.#deps.config.address, `${WHAT}: ${why}`)
  }
}

function logOptions(kind: QueueKind): Options.AssertQueue {
  const options = plainOptions(kind)
  const more = options.arguments as Readonly<Record<string, unknown>> | undefined
  return { ...options, arguments: { ...more, 'x-single-active-consumer': true } }
}

const WHAT = 'reading the registry of queues'
/** The queue is there with other arguments. */
const DIFFERS = 406
