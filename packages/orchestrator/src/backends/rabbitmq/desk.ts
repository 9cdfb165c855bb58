/**
 * Questions and orders to the server (declare, count, purge), each on a channel that nobody else uses meanwhile: the server answers a
 * wrong one by closing the channel, and that must hit nobody else.
 *
 * Invariant: a channel on which something went wrong is not used again.
 */
import type { Channel } from 'amqplib'
import type { RabbitConfig } from './config.js'
import { operationFailed, replyCode } from './errors.js'
import type { Link } from './link.js'

const MAX_IDLE = 4
/** Times that something is asked again because the connection broke under it. */
const ATTEMPTS = 3

/** A pool of channels. */
export class Desk {
  readonly #link: Link
  readonly #config: RabbitConfig
  readonly #idle: Channel[] = []

  constructor(link: Link, config: RabbitConfig) {
    this.#link = link
    this.#config = config
  }

  /**
   * Does something that may be done twice, unless `once` says otherwise. Throws CONFIG_INVALID (other arguments, no rights) or
   * BACKEND_UNAVAILABLE, naming `what`; `on` turns reply codes of AMQP into answers.
   */
  async ask<T>(
    what: string,
    work: (channel: Channel) => Promise<T>,
    { on = {}, once = false }: { on?: Readonly<Record<number, () => T>>; once?: boolean } = {},
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const channel = this.#idle.pop() ?? (await this.#open(what))
      try {
        const answer = await work(channel)
        this.#keep(channel)
        return answer
      } catch (error) {
        const code = replyCode(error)
        const answer = code === undefined ? undefined : on[code]
        if (answer) return answer()
        if (code !== undefined || once || attempt === ATTEMPTS) throw operationFailed(this.#config.address, error, what)
      }
    }
  }

  async #open(what: string): Promise<Channel> {
    const model = await this.#link.ready()
    try {
      const channel = await model.createChannel()
      // Without a listener on the channel the library takes the error to the connection, and all channels with it.
      channel.on('error', () => undefined)
      channel.on('close', () => this.#drop(channel))
      return channel
    } catch (error) {
      throw operationFailed(this.#config.address, error, what)
    }
  }

  #keep(channel: Channel): void {
    if (this.#idle.length < MAX_IDLE) this.#idle.push(channel)
    else channel.close().catch(() => undefined) // gone with its connection: closed all the same
  }

  #drop(channel: Channel): void {
    const index = this.#idle.indexOf(channel)
    if (index >= 0) this.#idle.splice(index, 1)
  }
}
