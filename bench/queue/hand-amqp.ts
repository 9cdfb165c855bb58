/**
 * The peer on RabbitMQ: amqplib by hand, as its documentation says, with `noDelay`. Publishing and consuming have a connection
 * each (on one, they hold each other up); messages are persistent; a confirm is awaited for each 500; a consumer has a prefetch
 * of 200 and acknowledges each message. Invariant: the queue has the arguments that ours has, and what is timed ends when the
 * server has answered for all of it.
 */
import { connect, type Channel, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib'
import type { JsonValue } from '@muster/core'
import { timed } from '../harness/measure.js'
import type { QueueArguments } from './servers.js'

const CONFIRM_EACH = 500
const PREFETCH = 200
const TAG = 'bench'

/** A queue of one's own on RabbitMQ. */
export class HandPeer {
  readonly #queue: string
  readonly #connections: readonly ChannelModel[]
  readonly #publishing: ConfirmChannel
  readonly #consuming: Channel

  private constructor(
    queue: string,
    connections: readonly ChannelModel[],
    publishing: ConfirmChannel,
    consuming: Channel,
  ) {
    this.#queue = queue
    this.#connections = connections
    this.#publishing = publishing
    this.#consuming = consuming
  }

  /** Connects and declares. Whoever opens closes. */
  static async open(url: string, queue: string, queueArguments: QueueArguments): Promise<HandPeer> {
    const [one, other] = [await connect(url, { noDelay: true }), await connect(url, { noDelay: true })]
    const [publishing, consuming] = [await one.createConfirmChannel(), await other.createChannel()]
    await publishing.assertQueue(queue, { durable: true, arguments: queueArguments })
    return new HandPeer(queue, [one, other], publishing, consuming)
  }

  /** Publishes one; resolves when it is confirmed. */
  publish(body: JsonValue): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#publishing.sendToQueue(this.#queue, encode(body), { persistent: true }, (error: unknown) => {
        if (error) reject(error instanceof Error ? error : new Error('the server refused a message'))
        else resolve()
      })
    })
  }

  /** Publishes all, with such properties besides. Gives the milliseconds to the last confirm. */
  publishAll(bodies: readonly JsonValue[], properties: Options.Publish = {}): Promise<number> {
    return timed(async () => {
      for (const [index, body] of bodies.entries()) {
        this.#publishing.sendToQueue(this.#queue, encode(body), { persistent: true, ...properties })
        if ((index + 1) % CONFIRM_EACH === 0) await this.#publishing.waitForConfirms()
      }
      await this.#publishing.waitForConfirms()
    })
  }

  /** Consumes `count` of the messages that are there. Gives the milliseconds to the last ack having reached the server. */
  async consumeAll(count: number): Promise<number> {
    const channel = this.#consuming
    await channel.prefetch(PREFETCH)
    let left = count
    const ms = await timed(async () => {
      await new Promise<void>((resolve, reject) => {
        const onMessage = (message: Parameters<Parameters<Channel['consume']>[1]>[0]): void => {
          if (message === null) return reject(new Error('the server cancelled the consumer'))
          if (left === 0) return
          JSON.parse(message.content.toString())
          channel.ack(message)
          left -= 1
          if (left === 0) resolve()
        }
        channel.consume(this.#queue, onMessage, { consumerTag: TAG }).catch(reject)
      })
      // Acks have no answer; one to a later request on the same channel says that they were processed.
      await channel.cancel(TAG)
    })
    // What was sent beyond goes back to its place.
    await channel.recover()
    return ms
  }

  /** A standing consumer that calls `handler` for each message, then acknowledges. */
  async stand(handler: (body: JsonValue) => void): Promise<{ close(): Promise<void> }> {
    const channel = this.#consuming
    await channel.prefetch(PREFETCH)
    const { consumerTag } = await channel.consume(this.#queue, (message) => {
      if (message === null) return
      handler(JSON.parse(message.content.toString()) as JsonValue)
      channel.ack(message)
    })
    return {
      close: async () => {
        await channel.cancel(consumerTag)
      },
    }
  }

  /** How many messages wait. */
  async count(): Promise<number> {
    return (await this.#publishing.checkQueue(this.#queue)).messageCount
  }

  /** Removes what waits. */
  async empty(): Promise<void> {
    await this.#publishing.purgeQueue(this.#queue)
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) await connection.close()
  }
}

function encode(body: JsonValue): Buffer {
  return Buffer.from(JSON.stringify(body))
}
