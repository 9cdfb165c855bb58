/**
 * A standing consumer: messages come as soon as a slot is free, without a call for each batch. Invariants: never more out than `slots`
 * (the server's prefetch is the number of slots that are free when the consumer begins); a suspect is fetched by itself, one at a time;
 * after a lost connection or a deleted queue everything is made again.
 *
 * The prefetch of a consumer cannot be changed. So whatever changes the number (a suspect is to be fetched, old deliveries from before
 * a change have ended) ends the consumer and begins another: `#steer`, one step at a time.
 */
import type { Clock, Logger } from '@muster/core'
import type { SubscribeRequest } from '../../backend.js'
import type { RabbitConfig } from './config.js'
import type { Held, Holdings } from './held.js'
import { Intake, type Arrival } from './intake.js'
import type { Line } from './line.js'
import type { Lines } from './lines.js'
import type { Link } from './link.js'
import type { Sorter } from './sorter.js'
import type { Topology } from './topology.js'

/** What a subscription stands on. */
export interface SubscriptionDeps {
  readonly link: Link
  readonly config: RabbitConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly lines: Lines
  readonly topology: Topology
  readonly holdings: Holdings
  readonly sorter: Sorter
}

const RETRY_MS = 100

interface Consumer {
  readonly intake: Intake
  readonly tag: string
  readonly prefetch: number
  /** How many of its deliveries are out. */
  out: number
}

/** One standing consumer. */
export class Subscription {
  readonly #line: Line
  readonly #request: SubscribeRequest
  readonly #deps: SubscriptionDeps
  readonly #undo: (() => void)[]
  #intake: Intake | undefined
  #consumer: Consumer | undefined
  #out = 0
  #steering: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(line: Line, request: SubscribeRequest, deps: SubscriptionDeps) {
    this.#line = line
    this.#request = request
    this.#deps = deps
    this.#undo = [deps.lines.watch(line), line.changed.on(() => this.#look()), deps.link.up.on(() => this.#look())]
  }

  /** Resolves when messages can come. Throws what keeps them from coming the first time. */
  async open(): Promise<void> {
    await this.#step(this.#steer())
  }

  /** Takes no more; what came and was not passed on is back in line when it resolves. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const undo of this.#undo) undo()
    await this.#steering?.catch(() => undefined)
    await this.#stop()
    this.#leave()
  }

  /** Something changed: steps until nothing is to be changed any more. */
  #look(): void {
    if (this.#steering) {
      this.#again = true
      return
    }
    if (this.#closed) return
    this.#step(this.#steer()).catch((error: unknown) => this.#later(error))
  }

  /** One step at a time: what changed meanwhile is looked at when it has ended. */
  #step(steering: Promise<void>): Promise<void> {
    const next = (): void => {
      this.#steering = undefined
      if (this.#again) this.#look()
    }
    this.#again = false
    this.#steering = this.#line.track(steering).then(next, next)
    return steering
  }

  #later(error: unknown): void {
    if (this.#closed) return
    this.#deps.logger.warn({ err: error, queue: this.#line.name }, 'consuming is interrupted; trying again')
    const stopTimer = this.#deps.clock.after(RETRY_MS, () => this.#look())
    this.#undo.push(stopTimer)
  }

  async #steer(): Promise<void> {
    const line = this.#line
    if (this.#consumer && (line.paused || line.suspectDue || this.#cramped())) await this.#stop()
    if (line.paused || this.#closed || this.#consumer) return
    if (this.#out >= this.#request.slots) return // the next that ends calls again
    await this.#deps.topology.declare(line)
    if (line.suspectDue) await this.#fetchSuspect()
    if (this.#out < this.#request.slots && !this.#closed && !line.paused) await this.#begin()
  }

  /** Whether slots are free that the consumer cannot fill. */
  #cramped(): boolean {
    const consumer = this.#consumer
    if (consumer === undefined) return false
    const others = this.#out - consumer.out
    return consumer.out === consumer.prefetch && this.#request.slots - others > consumer.prefetch
  }

  async #begin(): Promise<void> {
    const intake = await this.#channel()
    const prefetch = this.#request.slots - this.#out
    let ended = false
    let consumer: Consumer | undefined
    const early: Arrival[] = []
    const tag = await intake.consume(this.#line.names.main, prefetch, (arrival) => {
      if (arrival === null) {
        // The queue was deleted: it is declared again, and consumed.
        ended = true
        this.#deps.topology.forget(this.#line)
        if (this.#consumer === consumer) this.#consumer = undefined
        this.#look()
      } else if (consumer) this.#pass(arrival, consumer)
      else early.push(arrival)
    })
    if (tag === undefined || ended) {
      this.#deps.topology.forget(this.#line)
      this.#again = true
      return
    }
    this.#consumer = consumer = { intake, tag, prefetch, out: 0 }
    for (const arrival of early) this.#pass(arrival, consumer)
  }

  /** The consumer ends. All that it sent has been passed on by then. */
  async #stop(): Promise<void> {
    const consumer = this.#consumer
    if (consumer === undefined) return
    await consumer.intake.cancel(consumer.tag, consumer.out === consumer.prefetch)
    if (this.#consumer === consumer) this.#consumer = undefined
  }

  async #fetchSuspect(): Promise<void> {
    const line = this.#line
    line.suspectOut = true
    const free = (): void => void (line.suspectOut = false)
    const arrivals = await this.#oneSuspect().catch((error: unknown) => {
      free() // or this process would never look at a suspect again
      throw error
    })
    const { fresh, done } = this.#deps.sorter.sort(line, arrivals)
    await done
    if (arrivals.length === 0) line.suspects = false
    if (fresh.length === 0) free()
    for (const item of fresh) this.#hand(item, undefined, free)
  }

  async #oneSuspect(): Promise<readonly Arrival[]> {
    const arrival = await (await this.#channel()).get(this.#line.names.suspect)
    return arrival ? [arrival] : []
  }

  #pass(arrival: Arrival, consumer: Consumer): void {
    const { fresh } = this.#deps.sorter.sort(this.#line, [arrival])
    for (const item of fresh) {
      if (this.#closed) void this.#deps.sorter.giveBack(this.#line, [item])
      else this.#hand(item, consumer, undefined)
    }
  }

  #hand(
    { arrival, envelope }: ReturnType<Sorter['sort']>['fresh'][number],
    consumer: Consumer | undefined,
    onFree: (() => void) | undefined,
  ): void {
    this.#out++
    if (consumer) consumer.out++
    const onEnd: Held['onEnd'] = () => {
      this.#out--
      if (consumer) consumer.out--
      onFree?.()
      if (consumer === undefined || consumer !== this.#consumer) this.#look()
      else if (this.#closed) this.#leave()
    }
    const delivery = this.#deps.holdings.hand(this.#line, envelope, arrival, this.#request.leaseMs, onEnd)
    try {
      this.#request.onDelivery(delivery)
    } catch (error) {
      this.#deps.logger.error({ err: error, queue: this.#line.name }, 'a delivery was not taken; its lease will end')
    }
  }

  async #channel(): Promise<Intake> {
    if (this.#intake?.alive) return this.#intake
    const intake = await Intake.open(this.#deps)
    intake.onEnd = () => {
      if (this.#consumer?.intake === intake) this.#consumer = undefined
      this.#look()
    }
    return (this.#intake = intake)
  }

  /** The channel goes when nothing is out on it. */
  #leave(): void {
    if (this.#out > 0 || this.#intake === undefined || this.#intake.size > 0) return
    const intake = this.#intake
    this.#intake = undefined
    void intake.close()
  }
}
