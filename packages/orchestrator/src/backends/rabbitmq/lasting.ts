/**
 * Makes declarations last. A server that is killed forgets some of what was declared just before, with every message in it that was confirmed:
 *
 * - A RabbitMQ with Mnesia (all before 4) answers a declaration when it lies in the log on disk, but whether it was decided is noted after
 *   that: now and then too late for the same write, and then up to two seconds later. The queue is gone, or the binding, and what goes that way
 *   is dropped. The next declaration writes down what was decided before it. docs/adr/0015-a-declaration-may-be-forgotten.md
 * - A quorum queue is found again by a table of names that keeps what is new to itself for up to three seconds: without its name it begins
 *   anew, empty. The next quorum queue writes down the names before it. docs/adr/0016-delays-on-quorum-queues.md
 *
 * So one more of the kind is made, which nobody needs.
 */
import { randomUUID } from 'node:crypto'
import type { Channel } from 'amqplib'
import type { QueueKind } from './config.js'

/** What was declared last. */
export interface Declared {
  readonly queue: string
  readonly kind: QueueKind
  /** A direct exchange of ours. */
  readonly exchange: string
}

const NOBODY = 'nobody'
/** Should nobody come to delete it. */
const EXPIRES_MS = 60_000

/** After what was declared last, before it is relied upon. */
export async function makeLasting(channel: Channel, { queue, kind, exchange }: Declared): Promise<void> {
  if (kind === 'quorum') {
    const throwaway = `${exchange}:${NOBODY}:${randomUUID()}`
    await channel.assertQueue(throwaway, { expires: EXPIRES_MS, arguments: { 'x-queue-type': 'quorum' } })
    await channel.deleteQueue(throwaway)
    return
  }
  // No message has this key.
  await channel.bindQueue(queue, exchange, NOBODY)
  // Where a killed process has left the binding, that was no write: this one is.
  await channel.unbindQueue(queue, exchange, NOBODY)
}
