/**
 * Delays of any length by the server's own clock. A delay is written in digits of base 64 of 16 ms; for each level and digit there is one
 * queue, shared by all, whose messages live `digit * 16 ms * 64^level` and then go down to the exchange of the next level. So each of
 * those queues is first in, first out in due time as well, and no long delay stands before a short one.
 *
 * A message is published to its highest level; its routing key names the first digit, and the CC header the others and the queue at the end:
 * all keys are kept when a message is dead-lettered without a new key. Digit 0 is a binding from exchange to exchange.
 *
 * The queues are quorum queues, whatever those of the messages are: a classic queue hands over unconfirmed and forgets the message when it
 * likes, so a server that is killed loses those that the next queue had not written down yet (docs/adr/0016-delays-on-quorum-queues.md).
 *
 * RabbitMQ 4.0 to 4.2 give quorum queues two priorities, above 4 and the rest, and a message would wait behind one that is due later: so
 * there are two ladders to the same end.
 *
 * Invariants: never early (the digits are rounded up); equal delays take the same way, so they keep their order; a queue of the ladder
 * never has a limit or priorities, both of which would lose or hold up messages.
 */
import type { Channel } from 'amqplib'
import type { Desk } from './desk.js'
import { makeLasting } from './lasting.js'

const STEP_MS = 16
const BASE = 64
/** 64^5 * 16 ms = 198 days, above the 30 days of the contract. */
const LEVELS = 5

/** The ladder for the priorities above 4, where most messages go, and for the rest. */
type Lane = '' | '-low'

/** Where a delayed message is published. */
export interface Route {
  readonly exchange: string
  readonly key: string
  readonly cc: readonly string[]
  /** How long it stays on the first step, ms. */
  readonly firstMs: number
}

/** The digits of a delay, lowest level first; never shorter than the delay. */
export function digitsOf(delayMs: number): readonly number[] {
  const digits: number[] = []
  for (let rest = Math.ceil(delayMs / STEP_MS); rest > 0; rest = Math.floor(rest / BASE)) digits.push(rest % BASE)
  return digits
}

/** The ladder of one namespace. */
export class Ladder {
  readonly #desk: Desk
  readonly #prefix: string
  /** What is declared, as far as we know, by name. */
  readonly #declared = new Map<string, Promise<void>>()

  constructor(desk: Desk, prefix: string) {
    this.#desk = desk
    this.#prefix = `${prefix}delay`
  }

  /** The way of a message of this priority (5 unless given) to `queue` (bound before by {@link bind}) that takes `delayMs`. */
  async route(queue: string, delayMs: number, priority = 5): Promise<Route> {
    const lane = priority > 4 ? '' : '-low'
    const digits = digitsOf(delayMs)
    await Promise.all(
      digits.map((digit, level) => (digit === 0 ? this.#exchanges(lane) : this.#step(lane, level, digit))),
    )
    const keys = digits.map((digit, level) => keyOf(level, digit)).reverse()
    const [key = '', ...lower] = keys
    const top = digits.length - 1
    const firstMs = lifeOf(top, digits[top] ?? 0)
    return { exchange: this.#exchange(lane, top), key, cc: [...lower, endKey(queue)], firstMs }
  }

  /** The exchange from which delayed messages go to their queues. */
  get end(): string {
    return this.#exchange('', -1)
  }

  /** Lets delayed messages end in each of these queues. Not yet for good: see {@link makeLasting}. */
  async bind(channel: Channel, ...queues: readonly string[]): Promise<void> {
    await this.#exchanges('')
    for (const queue of queues) await channel.bindQueue(queue, this.end, endKey(queue))
  }

  /** Believes nothing any more: something was not where it should be. */
  forget(): void {
    this.#declared.clear()
  }

  #exchange(lane: Lane, level: number): string {
    return level < 0 ? `${this.#prefix}:end` : `${this.#prefix}${lane}:${level}`
  }

  #exchanges(lane: Lane): Promise<void> {
    return this.#once(`exchanges${lane}`, () =>
      this.#desk.ask('declaring the exchanges of delays', async (channel) => {
        await channel.assertExchange(this.#exchange(lane, -1), 'direct', { durable: true })
        for (let level = 0; level < LEVELS; level++) {
          await channel.assertExchange(this.#exchange(lane, level), 'direct', { durable: true })
          await channel.bindExchange(this.#exchange(lane, level - 1), this.#exchange(lane, level), keyOf(level, 0))
        }
      }),
    )
  }

  #step(lane: Lane, level: number, digit: number): Promise<void> {
    const queue = `${this.#prefix}${lane}:${keyOf(level, digit)}`
    return this.#once(queue, async () => {
      await this.#exchanges(lane)
      await this.#desk.ask('declaring a queue of delays', async (channel) => {
        await channel.assertQueue(queue, {
          durable: true,
          messageTtl: lifeOf(level, digit),
          deadLetterExchange: this.#exchange(lane, level - 1),
          // With at-least-once the queue keeps each until the next has confirmed it; that wants this overflow, also without a limit.
          arguments: {
            'x-queue-type': 'quorum',
            'x-dead-letter-strategy': 'at-least-once',
            'x-overflow': 'reject-publish',
          },
        })
        await channel.bindQueue(queue, this.#exchange(lane, level), keyOf(level, digit))
        await makeLasting(channel, { queue, kind: 'quorum', exchange: this.#exchange(lane, level) })
      })
    })
  }

  #once(name: string, declare: () => Promise<void>): Promise<void> {
    let declared = this.#declared.get(name)
    if (declared === undefined) {
      declared = declare()
      this.#declared.set(name, declared)
      declared.catch(() => this.#declared.delete(name))
    }
    return declared
  }
}

function lifeOf(level: number, digit: number): number {
  return digit * STEP_MS * BASE ** level
}

function keyOf(level: number, digit: number): string {
  return `${level}:${digit}`
}

function endKey(queue: string): string {
  return `to:${queue}`
}
