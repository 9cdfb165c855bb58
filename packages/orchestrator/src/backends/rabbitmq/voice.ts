/**
 * What the registry says to the server, on a confirm channel of its own. Invariant: what it says is confirmed or an error, and it never
 * waits for a server that is short of memory: reading must go on without it.
 */
import { isMusterError, type Clock, type Ids } from '@muster/core'
import type { RabbitConfig } from './config.js'
import { unavailable } from './errors.js'
import type { Link } from './link.js'
import { Publisher, type Parcel } from './publisher.js'

/** One message of the registry. */
export interface Saying {
  readonly exchange?: string
  readonly key: string
  /** What kind of message it is, see {@link KINDS}. */
  readonly type: string
  readonly id?: string
  readonly content?: Buffer
}

/** The kinds of message: a record, what keeps the log from being empty, the end of a reading, somebody opens, an echo for oneself. */
export const KINDS = { record: 'record', begin: 'begin', end: 'end', hello: 'hello', echo: 'echo' } as const

/** Speaks for one backend. */
export class Voice {
  readonly #link: Link
  readonly #config: RabbitConfig
  readonly #ids: Ids
  readonly #publisher: Publisher

  constructor(link: Link, config: RabbitConfig, clock: Clock, ids: Ids) {
    this.#link = link
    this.#config = config
    this.#ids = ids
    this.#publisher = new Publisher(link, config, clock)
  }

  /** Whether the server takes no messages just now. */
  get blocked(): boolean {
    return this.#link.blocked !== undefined
  }

  /** Calls back when the server says that it takes no messages; the returned function ends that. */
  onBlocked(listener: () => void): () => void {
    return this.#link.blocking.on(listener)
  }

  /** Calls back when it takes messages again; the returned function ends that. */
  onUnblocked(listener: () => void): () => void {
    return this.#link.unblocked.on(listener)
  }

  /** True: queues hold it all. False: of one at least no queue took it. Throws BACKEND_UNAVAILABLE: nobody knows, or the server takes none. */
  async say(sayings: readonly Saying[]): Promise<boolean> {
    if (sayings.length === 0) return true
    let stop = (): void => undefined
    const blocked = new Promise<never>((_, reject) => {
      const refuse = (): void => reject(this.#refused())
      stop = this.onBlocked(refuse)
      if (this.blocked) refuse()
    })
    blocked.catch(() => undefined) // whoever lost the race is not heard
    try {
      if (this.blocked) await blocked
      const sending = this.#publisher.send(sayings.map((saying) => this.#parcel(saying)))
      sending.catch(() => undefined)
      const sent = await Promise.race([sending, blocked])
      const error = sent.find((one) => isMusterError(one))
      if (error) throw error
      return sent.every((one) => one === 'held')
    } finally {
      stop()
    }
  }

  #parcel({ exchange = '', key, type, id = this.#ids.next(), content = Buffer.alloc(0) }: Saying): Parcel {
    const properties = { persistent: true, mandatory: true, messageId: id, type }
    return { exchange, key, content, properties, takenBy: this.#config.queueKind }
  }

  #refused(): Error {
    return unavailable(this.#config.address, `the server takes no messages: ${this.#link.blocked ?? ''}`)
  }
}
