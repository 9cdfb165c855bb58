/**
 * One channel on which messages arrive, and the book of what arrived on it. Invariants: a tag is acknowledged once, on the channel on
 * which it came; what is reported as confirmed the server had processed; when the channel ends, everything on it has gone back.
 */
import type { Channel, ConsumeMessage } from 'amqplib'
import { closeChannel } from './client.js'
import type { RabbitConfig } from './config.js'
import { NOT_FOUND, operationFailed, replyCode } from './errors.js'
import type { Link } from './link.js'

/** A message that has arrived, with what is needed to be done with it. */
export interface Arrival {
  readonly intake: Intake
  readonly message: ConsumeMessage
}

/** A channel that receives. */
export class Intake {
  readonly #channel: Channel
  readonly #config: RabbitConfig
  /** What is neither acknowledged nor given back, in the order of the tags. The callback learns that the channel has ended. */
  readonly #outstanding = new Map<number, (() => void) | undefined>()
  #alive = true
  #prefetch = 0
  #pending: number[] = []
  #flush: Promise<boolean> | undefined
  #fence: Promise<boolean> | undefined
  #nextFence: Promise<boolean> | undefined
  #cancelling: Promise<boolean> | undefined
  #onEnd: (() => void) | undefined

  private constructor(channel: Channel, config: RabbitConfig) {
    this.#channel = channel
    this.#config = config
    channel.on('error', () => undefined) // what it was shows in the call that it hit
    channel.once('close', () => this.#end())
  }

  /** Opens a channel. Throws BACKEND_UNAVAILABLE. */
  static async open(link: Link, config: RabbitConfig): Promise<Intake> {
    const model = await link.ready()
    try {
      return new Intake(await model.createChannel(), config)
    } catch (error) {
      throw operationFailed(config.address, error, 'opening a channel to receive')
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
    try {
      const changed = prefetch !== this.#prefetch
      // Known before it is sent: a fence that goes out in between says the same number, and not the one before.
      this.#prefetch = prefetch
      if (changed) await this.#channel.prefetch(prefetch)
      const take = (message: ConsumeMessage | null): void => {
        if (message === null) return onArrival(null)
        this.#outstanding.set(message.fields.deliveryTag, undefined)
        onArrival({ intake: this, message })
      }
      return (await this.#channel.consume(queue, take)).consumerTag
    } catch (error) {
      const code = replyCode(error)
      if (code === undefined || code === NOT_FOUND) return undefined
      throw operationFailed(this.#config.address, error, `receiving from ${queue}`)
    }
  }

  /** Ends the coming. When it resolves, everything that was on its way has arrived; false: the channel has ended, and all went back. */
  cancel(consumerTag: string): Promise<boolean> {
    const cancelled = this.#channel.cancel(consumerTag).then(
      () => true,
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
