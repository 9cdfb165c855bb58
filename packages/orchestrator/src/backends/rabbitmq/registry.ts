/**
 * The names, settings and pauses of all queues of a namespace, kept on the server: a log of changes that every process reads once, and an
 * ear on which it hears of each that is made after that. So a pause reaches every process within milliseconds, settings belong to
 * the queue, and the listing needs no management API.
 *
 * Invariants: a change that resolved holds for every process that is there and for every one that comes; two changes are never lost to each
 * other, since each names only what it changes and bears its version; after a wipe of the server whoever still knows a queue
 * writes it down again. Why it is built so: docs/adr/0010.
 */
import { isMusterError, MusterError, type Logger } from '@muster/core'
import type { ConsumeMessage } from 'amqplib'
import type { QueueSettings } from '../../backend.js'
import { Ear } from './ear.js'
import { RegistryLog, type LogDeps } from './log.js'
import { KEYS } from './names.js'
import { decode, Knowledge, type Entry, type RegistryRecord } from './records.js'
import { Signal } from './signal.js'
import { KINDS } from './voice.js'

/** What the registry stands on. */
export interface RegistryDeps extends LogDeps {
  readonly logger: Logger
}

/** How long a server that has started may take to open the log, and how often it is asked meanwhile. */
const [OPENING_MS, OPENING_LOOK_MS] = [10_000, 200]
const AGAIN_MS = 500
const CAUGHT_UP_WITHIN_MS = 10_000
const ATTEMPTS = 3
/** After how many changes of its own a process reads the log again. */
const READ_EVERY = 500

/** The registry of one namespace. */
export class Registry {
  /** An entry is new, or changed. */
  readonly changed = new Signal<string>()
  readonly #deps: RegistryDeps
  readonly #log: RegistryLog
  readonly #knowledge = new Knowledge()
  /** Of two changes that knew nothing of each other the one of the higher name holds. */
  readonly #writer: string
  #ear: Ear | undefined
  #due = false
  #following: Promise<void> | undefined
  /** How many others have opened, as far as was heard. */
  #hellos = 0
  #written = 0
  #opened = false
  #closed = false

  constructor(deps: RegistryDeps) {
    this.#deps = deps
    this.#log = new RegistryLog(deps)
    this.#writer = deps.ids.next()
    deps.link.up.on(() => this.#again())
  }

  /** Reads all there is and goes on listening. Throws CONFIG_INVALID, BACKEND_UNAVAILABLE. */
  async open(): Promise<void> {
    const { clock } = this.#deps
    const until = clock.monotonic() + OPENING_MS
    for (;;) {
      try {
        await this.#follow()
        this.#opened = true
        if (!this.#ear?.alive) this.#again()
        return
      } catch (error) {
        const worthIt = isMusterError(error) && error.retryable && clock.monotonic() < until
        if (this.#closed || !worthIt) throw error
        await this.#pause(OPENING_LOOK_MS)
      }
    }
  }

  /** What is known of a queue. */
  get(queue: string): Entry | undefined {
    return this.#knowledge.get(queue)
  }

  /** Names of all queues, after hearing what others have written until now. */
  async list(): Promise<readonly string[]> {
    await this.#catchUp()
    return this.#knowledge.names()
  }

  /** Makes the queue known, if it is not. */
  async enter(queue: string): Promise<void> {
    const record = this.#knowledge.change(queue, {}, this.#writer)
    if (record) await this.#write(record)
  }

  /** Writes a change down, unless it changes nothing, and resolves when all processes have it before them. */
  async change(
    queue: string,
    change: { readonly settings?: Partial<QueueSettings>; readonly paused?: boolean },
  ): Promise<void> {
    await this.#catchUp()
    const record = this.#knowledge.change(queue, change, this.#writer)
    if (record) await this.#write(record)
  }

  /** Something was deleted on the server: looks whether the log was, too. */
  check(): void {
    const look = async (): Promise<void> => {
      if (!(await this.#log.exists())) this.#again()
    }
    look().catch(() => undefined) // without a connection: the next one reads the log anyway
  }

  /** Stops following. */
  close(): void {
    this.#closed = true
  }

  async #write(record: RegistryRecord): Promise<void> {
    for (let attempt = 1; ;) {
      const hellos = this.#hellos
      try {
        const held = await this.#log.write([record])
        if (held) this.#learn(record)
        // An ear alone takes it as well: the log may have been deleted. What is known is written again then, this with it.
        if (!held || !(await this.#log.exists())) await this.#repair()
        if (!held && attempt++ === ATTEMPTS) throw tooSlow()
        await this.#catchUp()
        // Who opened meanwhile may have begun to listen too late for it, and read the log too early: only this process can know.
        if (held && this.#hellos === hellos) return this.#count()
      } catch (error) {
        if (this.#closed || attempt++ === ATTEMPTS || !isMusterError(error) || !error.retryable) throw error
        await this.#repair()
      }
    }
  }

  /** Who reads the log makes it short. Where nobody opens for long, those who write do. */
  #count(): void {
    if (++this.#written % READ_EVERY === 0) this.#again()
  }

  async #repair(): Promise<void> {
    this.#again()
    await this.#followed()
  }

  /** Resolves when everything has been heard that was written until now. */
  async #catchUp(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.#followed()
      // A server that takes no messages takes no change either: what is known is all.
      if (this.#deps.voice.blocked) return
      try {
        if (!this.#ear) throw this.#deps.link.unavailable()
        return await this.#ear.echo()
      } catch (error) {
        if (this.#deps.voice.blocked) return
        if (attempt === ATTEMPTS || this.#closed) throw error
        if (!this.#ear?.alive) this.#again()
      }
    }
  }

  /** Resolves when what is being followed anew is followed. */
  async #followed(): Promise<void> {
    await this.#deps.link.ready()
    if (!this.#following) return
    let stopTimer = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      stopTimer = this.#deps.clock.after(CAUGHT_UP_WITHIN_MS, () => reject(tooSlow()))
    })
    await Promise.race([this.#following, late]).finally(stopTimer)
  }

  /** Listens and reads once more, as soon as what is under way has ended; goes on until that has worked. */
  #again(): void {
    if (!this.#opened) return // `open` tries again by itself
    this.#due = true
    this.#following ??= this.#keepOn().finally(() => {
      this.#following = undefined
      if (this.#due && !this.#closed) this.#again()
    })
  }

  async #keepOn(): Promise<void> {
    while (this.#due && !this.#closed) {
      this.#due = false
      try {
        await this.#follow()
      } catch (error) {
        if (this.#closed) return
        this.#deps.logger.warn({ err: error }, 'the registry of queues cannot be read; trying again')
        this.#due = true
        await this.#pause(AGAIN_MS)
      }
    }
  }

  /** The ear first, then the log: what is written between the two comes twice, and never not at all. */
  async #follow(): Promise<void> {
    const isNew = await this.#log.declare()
    if (!this.#ear?.alive) {
      // It may end before it is there: whoever opens it hears of that.
      let ear: Ear | undefined = undefined
      const onEnd = (): void => {
        if (ear && this.#ear === ear && this.#deps.link.current && !this.#closed) this.#again()
      }
      ear = await Ear.open(this.#deps, (type, message) => this.#hear(type, message), onEnd)
      this.#ear = ear
    }
    await this.#greet(isNew)
    const whole = await this.#log.read((records) => this.#absorb(records))
    if (!whole) {
      const stop = this.#deps.voice.onUnblocked(() => {
        stop()
        this.#again()
      })
    }
  }

  /** Tells all that somebody opens; where the log was not there, they write down what they know. */
  async #greet(isNew: boolean): Promise<void> {
    const { voice, names } = this.#deps
    if (voice.blocked) return
    const content = Buffer.from(isNew ? NEW_LOG : '')
    try {
      await voice.say([{ exchange: names.exchange, key: KEYS.hello, type: KINDS.hello, id: this.#writer, content }])
    } catch (error) {
      if (!voice.blocked) throw error
    }
  }

  #hear(type: string, message: ConsumeMessage): void {
    if (type === KINDS.record) {
      const record = decode(message.content)
      if (record) this.#learn(record)
    }
    if (type !== KINDS.hello || message.properties.messageId === this.#writer) return
    this.#hellos++
    if (message.content.toString('utf8') === NEW_LOG) this.#again()
  }

  /** Learns what the log says; gives what it does not say any more: a pause that was forgotten would let go what an operator holds back. */
  #absorb(records: readonly RegistryRecord[]): readonly RegistryRecord[] {
    const said = new Knowledge()
    for (const record of records) {
      said.learn(record)
      this.#learn(record)
    }
    return this.#knowledge.beyond(said)
  }

  #learn(record: RegistryRecord): void {
    if (this.#knowledge.learn(record)) this.changed.emit(record.queue)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.after(ms, resolve))
  }
}

const NEW_LOG = 'new log'

function tooSlow(): MusterError {
  return new MusterError('BACKEND_UNAVAILABLE', 'RabbitMQ: the registry of queues could not be read in time')
}
