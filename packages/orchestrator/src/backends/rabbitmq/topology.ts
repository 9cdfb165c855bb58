/**
 * The queues of a queue, on the server. Invariant: a queue of ours never has a length limit (with delays it would lose messages that
 * were confirmed), and what is there with other arguments is never changed but reported.
 */
import type { Channel, Options } from 'amqplib'
import type { QueueKind } from './config.js'
import type { Desk } from './desk.js'
import { NOT_FOUND } from './errors.js'
import type { Ladder } from './ladder.js'
import { makeLasting } from './lasting.js'
import type { Line } from './line.js'
import { Signal } from './signal.js'

/**
 * The arguments of a queue for messages. A quorum queue counts deliveries itself and drops what was returned too often (20 times unless
 * told otherwise, from RabbitMQ 4 on): listing dead letters returns them, so its own limit is put out of reach.
 */
export function queueOptions(kind: QueueKind): Options.AssertQueue {
  if (kind === 'classic') return { durable: true, maxPriority: 9 }
  return { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 } }
}

/** The same without priorities. Dead letters stay in the order of their deaths. */
export function plainOptions(kind: QueueKind): Options.AssertQueue {
  return kind === 'classic' ? { durable: true } : queueOptions(kind)
}

const ATTEMPTS = 20

function whatOf({ name }: Line): string {
  return `declaring the queue '${name}'`
}

/** Declares what a queue needs, once. */
export class Topology {
  /** Something that was declared is not there. */
  readonly missing = new Signal()
  readonly #desk: Desk
  readonly #ladder: Ladder
  readonly #kind: QueueKind

  constructor(desk: Desk, ladder: Ladder, kind: QueueKind) {
    this.#desk = desk
    this.#ladder = ladder
    this.#kind = kind
  }

  /** Makes sure that the queues are there. Throws CONFIG_INVALID where one is there with other arguments. */
  declare(line: Line): Promise<void> {
    if (line.declared) return line.declared
    const declared = this.#make(line)
    line.declared = declared
    declared.then(
      () => (line.ready = line.declared === declared),
      () => this.forget(line),
    )
    return declared
  }

  async #make(line: Line): Promise<void> {
    const { main, suspect, dead } = line.names
    const make = async (channel: Channel): Promise<boolean> => {
      await channel.assertQueue(main, queueOptions(this.#kind))
      await channel.assertQueue(suspect, queueOptions(this.#kind))
      await channel.assertQueue(dead, plainOptions(this.#kind))
      await this.#ladder.bind(channel, main, suspect)
      await makeLasting(channel, { queue: main, kind: this.#kind, exchange: this.#ladder.end })
      return true
    }
    // Somebody may be deleting them meanwhile, and the ladder's end with them.
    const missing = (): boolean => {
      this.#ladder.forget()
      return false
    }
    for (let attempt = 1; attempt < ATTEMPTS; attempt++)
      if (await this.#desk.ask(whatOf(line), make, { on: { [NOT_FOUND]: missing } })) return
    await this.#desk.ask(whatOf(line), make)
  }

  /** Something of it was missing: the next use declares all again. */
  forget(line: Line): void {
    line.declared = undefined
    line.ready = false
    this.#ladder.forget()
    this.missing.emit()
  }
}
