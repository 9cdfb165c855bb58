/**
 * Makes declarations last. A RabbitMQ with Mnesia (all before 4) answers a declaration when it lies in the log on disk, but whether it was
 * decided is noted after that: now and then too late for the same write, and then up to two seconds later. A server that is killed
 * meanwhile forgets the queue, with every message in it that was confirmed; or the binding, and drops what goes that way. The
 * next declaration writes down what was decided before it, so one more is made, of something that nobody needs.
 * Measured, with the log that shows it: docs/adr/0015-a-declaration-may-be-forgotten.md.
 */
import type { Channel } from 'amqplib'

const KEY = 'nobody'

/** After what was declared last, before it is relied upon. `queue` and the direct exchange are ours; no message has this key. */
export async function makeLasting(channel: Channel, queue: string, exchange: string): Promise<void> {
  await channel.bindQueue(queue, exchange, KEY)
  // Where a killed process has left the binding, that was no write: this one is.
  await channel.unbindQueue(queue, exchange, KEY)
}
