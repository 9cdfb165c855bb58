/**
 * Delays of any length by the server's own clock. A delay is written in digits of base 64 of 16 ms; for each level and digit there is one
 * queue, shared by all, whose messages live `digit * 16 ms * 64^level` and then go down to the exchange of the next level. So each of
 * those queues is first in, first out in due time as well, and no long delay stands before a short one.
 *
 * A message is published to its highest level; its routing key names the first digit, and the CC header the others and the queue at the end:
 * all keys are kept when a message is dead-lettered without a new key. Digit 0 is a binding from exchange to exchange.
 *
 * Invariants: never early (the digits are rounded up); equal delays take the same way, so they keep their order; a queue of the ladder
 * never has a limit or priorities, both of which would lose or hold up messages.
 */
import type { Channel } from 'amqplib'
import type { Desk } from './desk.js'
import type { QueueKind } from './config.js'
import { makeLasting } from './lasting.js'

const STEP_MS = 16
const BASE = 64
/** 64^5 * 16 ms = 198 days, above the 30 days of the contract. */
const LEVELS = 5

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
  readonly #kind: QueueKind
  /** What is declared, as far as we know, by name. */
  readonly #declared = new Map<string, Promise<void>>()

  constructor(desk: Desk, prefix: string, kind: QueueKind) {
    this.#desk = desk
    this.#prefix = `${prefix}delay${kind === 'quorum' ? '-quorum' : ''}`
    this.#kind = kind
  }

  /** The way of a message to `queue` (bound before by {@link bind}) that takes `delayMs`. */
  async route(queue: string, delayMs: number): Promise<Route> {
    const digits = digitsOf(delayMs)
    await Promise.all(digits.map((digit, level) => (digit === 0 ? this.#exchanges() : this.#step(level, digit))))
    const keys = digits.map((digit, level) => keyOf(level, digit)).reverse()
    const [key = '', ...lower] = keys
    const top = digits.length - 1
    const firstMs = lifeOf(top, digits[top] ?? 0)
    return { exchange: this.#exchange(top), key, cc: [...lower, endKey(queue)], firstMs }
  }

  /** Lets delayed messages end in each of these queues, for good. */
  async bind(channel: Channel, ...queues: readonly [string, ...string[]]): Promise<void> {
    await this.#exchanges()
    for (const queue of queues) await channel.bindQueue(queue, this.#exchange(-1), endKey(queue))
    await makeLasting(channel, queues[0], this.#exchange(-1))
  }

  /** Believes nothing any more: something was not where it should be. */
  forget(): void {
    this.#declared.clear()
  }

  #exchange(level: number): string {
    return level < 0 ? `${this.#prefix}:end` : `${this.#prefix}:${level}`
  }

  #exchanges(): Promise<void> {
    return this.#once('exchanges', () =>
      this.#desk.ask('declaring the exchanges of delays', async (channel) => {
        await channel.assertExchange(this.#exchange(-1), 'direct', { durable: true })
        for (let level = 0; level < LEVELS; level++) {
          await channel.assertExchange(this.#exchange(level), 'direct', { durable: true })
          await channel.bindExchange(this.#exchange(level - 1), this.#exchange(level), keyOf(level, 0))
        }
      }),
    )
  }

  #step(level: number, digit: number): Promise<void> {
    const queue = `${this.#prefix}:${keyOf(level, digit)}`
    return this.#once(queue, async () => {
      await this.#exchanges()
      await this.#desk.ask('declaring a queue of delays', async (channel) => {
        await channel.assertQueue(queue, {
          durable: true,
          messageTtl: lifeOf(level, digit),
          deadLetterExchange: this.#exchange(level - 1),
          // A classic queue hands over unconfirmed: a server that is killed in that instant can lose the message. A quorum queue keeps it.
          ...(this.#kind === 'quorum' && {
            arguments: {
              'x-queue-type': 'quorum',
              'x-dead-letter-strategy': 'at-least-once',
              'x-overflow': 'reject-publish',
            },
          }),
        })
        await channel.bindQueue(queue, this.#exchange(level), keyOf(level, digit))
        await makeLasting(channel, queue, this.#exchange(level))
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
