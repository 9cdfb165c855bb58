/**
 * What a process hears of the registry: an exclusive queue of its own on the exchange of changes, gone with its connection. A change
 * is one publish that the log and every ear take, and its confirm comes when all have it. So an echo that a process sends to its own ear
 * arrives behind everything that was confirmed before.
 *
 * Invariant: an ear that has ended is never used again; who hears that it did makes another, and reads the log once more.
 */
import { MusterError, type Clock, type Ids } from '@muster/core'
import type { Channel, ConsumeMessage } from 'amqplib'
import { closeChannel } from './client.js'
import type { RabbitConfig } from './config.js'
import { operationFailed } from './errors.js'
import type { Link } from './link.js'
import { KEYS, type RegistryNames } from './names.js'
import { KINDS, type Voice } from './voice.js'

/** What an ear stands on. */
export interface EarDeps {
  readonly link: Link
  readonly config: RabbitConfig
  readonly names: RegistryNames
  readonly voice: Voice
  readonly clock: Clock
  readonly ids: Ids
}

const ECHO_WITHIN_MS = 10_000

/** One ear. */
export class Ear {
  readonly #deps: EarDeps
  readonly #channel: Channel
  readonly #queue: string
  readonly #echoes = new Map<string, (error?: MusterError) => void>()
  #alive = true
  #onEnd = (): void => undefined

  private constructor(deps: EarDeps, channel: Channel) {
    this.#deps = deps
    this.#channel = channel
    this.#queue = deps.names.ear(deps.ids.next())
  }

  /**
   * Hears from now on. `onMessage` is told what kind it is; `onEnd` is called once. Throws BACKEND_UNAVAILABLE, CONFIG_INVALID.
   */
  static async open(
    deps: EarDeps,
    onMessage: (type: string, message: ConsumeMessage) => void,
    onEnd: () => void,
  ): Promise<Ear> {
    const model = await deps.link.ready()
    try {
      const ear = new Ear(deps, await model.createChannel())
      await ear.#listen(onMessage, onEnd)
      return ear
    } catch (error) {
      throw operationFailed(deps.config.address, error, 'listening to the registry of queues')
    }
  }

  /** Whether it hears. */
  get alive(): boolean {
    return this.#alive
  }

  /** Resolves when all has been heard that was confirmed before. Throws BACKEND_UNAVAILABLE. */
  async echo(): Promise<void> {
    const { voice, clock, ids } = this.#deps
    if (!this.#alive) throw deaf('the connection broke')
    const id = ids.next()
    let stopTimer = (): void => undefined
    const heard = new Promise<void>((resolve, reject) => {
      this.#echoes.set(id, (error) => (error ? reject(error) : resolve()))
      stopTimer = clock.after(ECHO_WITHIN_MS, () => reject(deaf('nothing was heard in time')))
    })
    heard.catch(() => undefined) // its end is heard below, or what came before it
    try {
      if (!(await voice.say([{ key: this.#queue, type: KINDS.echo, id }]))) this.#end()
      await heard
    } finally {
      stopTimer()
      this.#echoes.delete(id)
    }
  }

  async #listen(onMessage: (type: string, message: ConsumeMessage) => void, onEnd: () => void): Promise<void> {
    const { names } = this.#deps
    this.#channel.on('error', () => undefined) // shows as its end
    this.#channel.once('close', () => this.#end())
    await this.#channel.assertQueue(this.#queue, { exclusive: true, autoDelete: true, durable: false })
    for (const key of [KEYS.change, KEYS.hello]) await this.#channel.bindQueue(this.#queue, names.exchange, key)
    this.#onEnd = onEnd
    const take = (message: ConsumeMessage | null): void => {
      if (message === null) return this.#end()
      const type = String(message.properties.type)
      if (type === KINDS.echo) this.#echoes.get(String(message.properties.messageId))?.()
      else onMessage(type, message)
    }
    await this.#channel.consume(this.#queue, take, { noAck: true })
  }

  #end(): void {
    if (!this.#alive) return
    this.#alive = false
    for (const echo of this.#echoes.values()) echo(deaf('the connection broke, or the queue was deleted'))
    void closeChannel(this.#channel)
    this.#onEnd()
  }
}

function deaf(why: string): MusterError {
  return new MusterError('BACKEND_UNAVAILABLE', `RabbitMQ: listening to the registry of queues: ${why}`)
}
