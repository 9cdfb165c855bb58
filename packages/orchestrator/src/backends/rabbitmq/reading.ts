/**
 * One reading of the registry's log: what came out of it, and what of that may leave it. Everything that is not removed goes back when the
 * channel closes.
 *
 * Invariant: of what `look` gives, `stay` says all that the rest says and that still holds; so the rest may go once copies of `stay` are
 * in the log.
 */
import type { MusterError } from '@muster/core'
import type { Channel, ConsumeMessage } from 'amqplib'
import { decode, superfluous, type RegistryRecord } from './records.js'
import { Signal } from './signal.js'
import { KINDS } from './voice.js'

/** A message that this reading holds. */
export interface Held {
  readonly tag: number
  readonly type: string
  readonly content: Buffer
  /** Undefined also for a record that only a newer version can read: it stays. */
  readonly record: RegistryRecord | undefined
  /** Quorum queues count how often a message was given back. */
  readonly deliveries: number
}

/** What is held just now. */
export interface Look {
  /** The last of it. */
  readonly tag: number
  readonly stay: readonly Held[]
  /** Whether the log is to be written anew, with `stay` alone. */
  readonly due: boolean
}

/** The most that a channel may have out; a quorum queue would take "no limit" for 2,000. */
const PREFETCH = 65_535
/** So many useless messages more than useful ones are removed: copies cost, but less than reading those again and again. */
const USELESS = 10
/** A quorum queue drops what was given back too often; from RabbitMQ 4 on an operator may say so for all queues, 20 times being usual. */
const TIRED_AFTER = 10

/** A reading under way. */
export class Reading {
  readonly #channel: Channel
  readonly #moved = new Signal()
  readonly #ends = new Set<string>()
  #held: Held[] = []
  #failure: MusterError | undefined

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** Begins to read. `gone` makes the error for a queue that was deleted. */
  async begin(log: string, gone: () => MusterError): Promise<void> {
    this.#channel.once('close', () => this.fail(gone()))
    await this.#channel.prefetch(PREFETCH)
    await this.#channel.consume(log, (message) => (message ? this.#take(message) : this.fail(gone())))
  }

  /** How many messages are held. */
  get size(): number {
    return this.#held.length
  }

  /** What those say. */
  get records(): readonly RegistryRecord[] {
    return this.#held.flatMap(({ record }) => record ?? [])
  }

  /** Whether the end with this id has come. */
  reached(id: string): boolean {
    return this.#ends.has(id)
  }

  /** Something changed that somebody may wait for. */
  nudge(): void {
    this.#moved.emit()
  }

  /** Ends the waiting. */
  fail(error: MusterError): void {
    this.#failure ??= error
    this.#moved.emit()
  }

  /** Resolves when the condition holds. Throws what the reading failed with. */
  async until(condition: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure) throw this.#failure
      if (condition()) return
      await new Promise<void>((resolve) => {
        const stop = this.#moved.on(() => {
          stop()
          resolve()
        })
      })
    }
  }

  /** What of all that is held has to stay. */
  look(): Look {
    const needless = superfluous(this.records)
    const stay = this.#held.filter(
      ({ type, record }) => type !== KINDS.end && type !== KINDS.begin && !(record && needless.has(record)),
    )
    const useless = this.#held.length - stay.length
    const due = useless >= stay.length + USELESS || stay.some(({ deliveries }) => deliveries >= TIRED_AFTER)
    return { tag: this.#held.at(-1)?.tag ?? 0, stay, due }
  }

  /** Removes what came up to a tag. In one acknowledgement: a quorum queue forgets some of many when the channel closes behind them. */
  remove(tag: number): void {
    this.#channel.ack(asMessage(tag), true)
    this.#held = this.#held.filter((held) => held.tag > tag)
  }

  /** Removes all ends: nobody waits for those of others, since only whose turn it is writes one. */
  removeEnds(): void {
    for (const { type, tag } of this.#held) if (type === KINDS.end) this.#channel.ack(asMessage(tag))
    this.#held = this.#held.filter(({ type }) => type !== KINDS.end)
  }

  #take({ properties, fields, content }: ConsumeMessage): void {
    const type = String(properties.type)
    const record = type === KINDS.record ? decode(content) : undefined
    const deliveries = Number(properties.headers?.['x-delivery-count'] ?? 0)
    this.#held.push({ tag: fields.deliveryTag, type, content, record, deliveries })
    if (type === KINDS.end) this.#ends.add(String(properties.messageId))
    this.#moved.emit()
  }
}

/** The library wants a message where it needs the tag alone. */
function asMessage(deliveryTag: number): ConsumeMessage {
  return { fields: { deliveryTag } } as ConsumeMessage
}
