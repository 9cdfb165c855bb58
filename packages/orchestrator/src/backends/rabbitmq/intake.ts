/**
 * One channel on which messages arrive, and the book of what arrived on it. Invariants: a tag is acknowledged once, on the channel on
 * which it came; what is reported as confirmed the server had processed; when the channel ends, everything on it has gone back; and what is
 * found in the socket after an absence of this process is passed on when the server has answered on the channel, so it is still ours.
 */
import type { Clock } from '@muster/core'
import type { Channel, ConsumeMessage, GetMessage } from 'amqplib'
import { closeChannel } from './client.js'
import type { RabbitConfig } from './config.js'
import { NOT_FOUND, operationFailed, replyCode } from './errors.js'
import type { Link } from './link.js'

/** A message that has arrived, with what is needed to be done with it. */
export interface Arrival {
  readonly intake: Intake
  readonly message: ConsumeMessage | GetMessage
}

/** What a consumer was made for, and how many have come to it. */
interface Demand {
  readonly queue: string
  readonly prefetch: number
  came: number
}

/** While messages keep coming to a consumer of a quorum queue it does not end, for so long at most. */
const [LULL_MS, LULL_WITHIN_MS] = [10, 30]

/** What a channel that receives stands on. */
export interface IntakeDeps {
  readonly link: Link
  readonly config: RabbitConfig
  readonly clock: Clock
}

/** A channel that receives. */
export class Intake {
  readonly #channel: Channel
  readonly #link: Link
  readonly #config: RabbitConfig
  readonly #clock: Clock
  /** What is neither acknowledged nor given back, in the order of the tags. The callback learns that the channel has ended. */
  readonly #outstanding = new Map<number, (() => void) | undefined>()
  readonly #demands = new Map<string, Demand>()
  #alive = true
  /** The absences after which the server has answered here. */
  #answered: number
  #answering: Promise<boolean> | undefined
  #prefetch = 0
  #pending: number[] = []
  #flush: Promise<boolean> | undefined
  #fence: Promise<boolean> | undefined
  #nextFence: Promise<boolean> | undefined
  #cancelling: Promise<boolean> | undefined
  #onEnd: (() => void) | undefined

  private constructor(channel: Channel, { link, config, clock }: IntakeDeps, absences: number) {
    this.#channel = channel
    this.#link = link
    this.#answered = absences
    this.#config = config
    this.#clock = clock
    channel.on('error', () => undefined) // what it was shows in the call that it hit
    channel.once('close', () => this.#end())
  }

  /** Opens a channel. Throws BACKEND_UNAVAILABLE. */
  static async open(deps: IntakeDeps): Promise<Intake> {
    const model = await deps.link.ready()
    const absences = deps.link.absences()
    try {
      return new Intake(await model.createChannel(), deps, absences)
    } catch (error) {
      throw operationFailed(deps.config.address, error, 'opening a channel to receive')
    }
  }

  /** Whether the channel is open. */
  get alive(): boolean {
    return this.#alive
  }

  /** How many messages are out on it. */
  get size(): number {
    return this.#outstanding.size
  }

  /** Calls back once when the channel has ended. */
  set onEnd(listener: (() => void) | undefined) {
    this.#onEnd = listener
  }

  /**
   * Lets at most `prefetch` messages come, until `cancel`. The server sends null instead of a message when it ends this itself:
   * the queue was deleted. Undefined: the queue is not there, or the channel ended. Throws CONFIG_INVALID where we may not.
   */
  async consume(
    queue: string,
    prefetch: number,
    onArrival: (arrival: Arrival | null) => void,
  ): Promise<string | undefined> {
    const demand: Demand = { queue, prefetch, came: 0 }
    try {
      const changed = prefetch !== this.#prefetch
      // Known before it is sent: a fence that goes out in between says the same number, and not the one before.
      this.#prefetch = prefetch
      if (changed) await this.#channel.prefetch(prefetch)
      const take = (message: ConsumeMessage | null): void => {
        if (message === null) return onArrival(null)
        demand.came++
        this.#outstanding.set(message.fields.deliveryTag, undefined)
        const pass = (): void => onArrival({ intake: this, message })
        if (this.#isPresent()) pass()
        else void this.#whenAnswered().then((answered) => answered && pass())
      }
      const { consumerTag } = await this.#channel.consume(queue, take)
      this.#demands.set(consumerTag, demand)
      return consumerTag
    } catch (error) {
      return this.#missing(error, queue)
    }
  }

  /** The first message of a queue, with nothing that would have to be ended: none is sent and taken back. Otherwise as `consume`. */
  async get(queue: string): Promise<Arrival | undefined> {
    try {
      const message = await this.#channel.get(queue)
      if (message === false) return undefined
      this.#outstanding.set(message.fields.deliveryTag, undefined)
      return this.#isPresent() || (await this.#whenAnswered()) ? { intake: this, message } : undefined
    } catch (error) {
      return this.#missing(error, queue)
    }
  }

  /**
   * Ends the coming. When it resolves, everything that was on its way has arrived (on a quorum queue: or is back in line, see `#reach`);
   * false: the channel has ended, and all went back. `full`: as many are out as may be, so nothing is on its way.
   */
  cancel(consumerTag: string, full: boolean): Promise<boolean> {
    const demand = this.#demands.get(consumerTag)
    this.#demands.delete(consumerTag)
    const ending = (): Promise<unknown> => this.#channel.cancel(consumerTag)
    const risky = demand && !full && this.#config.queueKind === 'quorum'
    const cancelled = (risky ? this.#reach(demand).then(ending) : ending()).then(
      () => this.#answering ?? true, // what came last may still wait for that
      () => false, // the channel is gone, and the consumer with it
    )
    this.#cancelling = cancelled
    return cancelled.finally(() => {
      if (this.#cancelling === cancelled) this.#cancelling = undefined
    })
  }

  /** Calls back if the channel ends while the message is out. */
  watch(tag: number, onLost: () => void): void {
    if (this.#outstanding.has(tag)) this.#outstanding.set(tag, onLost)
    else onLost()
  }

  /** Acknowledges; true when the server has done it. False: the channel ended first, and nobody can say. */
  ack(tags: readonly number[]): Promise<boolean> {
    if (!this.#alive) return Promise.resolve(false)
    for (const tag of tags) this.#pending.push(tag)
    // What is settled in one turn goes out together.
    this.#flush ??= Promise.resolve().then(() => this.#behindCancel())
    return this.#flush
  }

  /** Ends the channel; what is out goes back. */
  async close(): Promise<void> {
    if (this.#alive) await closeChannel(this.#channel)
  }

  /**
   * A quorum queue that is told of the end of a consumer takes a moment (its log is written), in which it still sends; its channel then no
   * longer knows for whom that was and returns it to the queue, where it counts as redelivered, as if a holder had vanished. The answer to
   * this question comes behind all that the queue had sent, so what was there before is not among it; and where some have come, more are
   * waited for, since they come in bursts.
   */
  async #reach(demand: Demand): Promise<void> {
    let seen = 0
    for (let ms = 0; demand.came > seen && demand.came !== demand.prefetch && ms < LULL_WITHIN_MS; ms += LULL_MS) {
      seen = demand.came
      await this.#clock.sleep(LULL_MS, { unref: true })
    }
    await this.#channel.checkQueue(demand.queue)
  }

  /** Whether the server has answered here since this process was away the last time, and nothing waits for that. */
  #isPresent(): boolean {
    return this.#answering === undefined && this.#link.absences() === this.#answered
  }

  /** True when it has; false: the channel has ended, and everything on it is back in line. Resolves in the order of the calls. */
  #whenAnswered(): Promise<boolean> {
    return (this.#answering ??= this.#answer())
  }

  async #answer(): Promise<boolean> {
    let absences: number
    do {
      absences = this.#link.absences()
      try {
        await this.#channel.prefetch(this.#prefetch)
      } catch {
        return false
      }
      // Away again: the answer may have lain in the socket, too.
    } while (absences !== this.#link.absences())
    this.#answered = absences
    this.#answering = undefined
    return this.#alive
  }

  #missing(error: unknown, queue: string): undefined {
    const code = replyCode(error)
    if (code !== undefined && code !== NOT_FOUND)
      throw operationFailed(this.#config.address, error, `receiving from ${queue}`)
  }

  /**
   * The library sends one question at a time, so a cancel may have to wait its turn. An acknowledgement that overtook it would make room for
   * one more message, which nobody waits for any more.
   */
  async #behindCancel(): Promise<boolean> {
    while (this.#cancelling) await this.#cancelling
    return this.#send()
  }

  #send(): Promise<boolean> {
    this.#flush = undefined
    const tags = this.#pending
    this.#pending = []
    if (!this.#alive) return Promise.resolve(false)
    try {
      for (const [tag, upTo] of this.#fold(tags)) this.#channel.ack(asMessage(tag), upTo)
    } catch {
      return Promise.resolve(false) // the channel closed in this very turn
    }
    return this.#confirmed()
  }

  /** One acknowledgement for as many of the oldest as are in it, then one for each of the others. */
  #fold(tags: readonly number[]): [number, boolean][] {
    const acked = new Set(tags)
    const acks: [number, boolean][] = []
    let prefix = 0
    for (const tag of this.#outstanding.keys()) {
      if (!acked.delete(tag)) break
      prefix = tag
    }
    if (prefix > 0) acks.push([prefix, true])
    for (const tag of acked) acks.push([tag, false])
    for (const tag of tags) this.#outstanding.delete(tag)
    return acks
  }

  /** Acknowledgements have no answer, but the next question on the channel is answered after them. One at a time is asked, for all. */
  #confirmed(): Promise<boolean> {
    if (this.#fence === undefined) return (this.#fence = this.#ask())
    this.#nextFence ??= this.#fence.then(() => {
      this.#nextFence = undefined
      return (this.#fence = this.#ask())
    })
    return this.#nextFence
  }

  #ask(): Promise<boolean> {
    const asked = this.#channel.prefetch(this.#prefetch).then(
      () => true,
      () => false,
    )
    return asked.finally(() => {
      if (this.#nextFence === undefined) this.#fence = undefined
    })
  }

  #end(): void {
    this.#alive = false
    const lost = [...this.#outstanding.values()]
    this.#outstanding.clear()
    for (const onLost of lost) onLost?.()
    this.#onEnd?.()
  }
}

/** The library wants a message where it needs the tag alone. */
function asMessage(deliveryTag: number): ConsumeMessage {
  return { fields: { deliveryTag } } as ConsumeMessage
}
