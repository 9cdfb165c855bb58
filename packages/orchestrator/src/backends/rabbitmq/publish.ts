/**
 * Publishing into queues: what the contract asks of `publish`, over the confirms of the server. Invariant: each message is answered by what
 * is known of it. One whose confirm was lost with the connection is `failed`, retryable, and may be there nevertheless: it is not sent
 * again by itself, because only the caller knows whether a second copy does harm.
 */
import { abortReason, MusterError, type Clock, type Ids } from '@muster/core'
import type { OutgoingMessage, PublishOutcome } from '../../backend.js'
import type { Desk } from './desk.js'
import type { Envelope } from './envelope.js'
import { NOT_FOUND, unavailable } from './errors.js'
import type { Line } from './line.js'
import type { Mover } from './mover.js'
import type { Parcel, Publisher, Sent } from './publisher.js'
import type { RabbitConfig } from './config.js'
import type { Topology } from './topology.js'

/** What publishing stands on. */
export interface PublishDeps {
  readonly publisher: Publisher
  readonly mover: Mover
  readonly topology: Topology
  readonly desk: Desk
  readonly config: RabbitConfig
  readonly clock: Clock
  readonly ids: Ids
}

/** A queue that is deleted again and again while one publishes to it. */
const ROUNDS = 3
/** How long a queue that takes nothing yet is asked again, and how often: as long as a connection that is not back yet is waited for. */
const [REFUSED_WITHIN_MS, REFUSED_PAUSE_MS] = [2_000, 50]

/** Publishes for one backend. */
export class Post {
  readonly #deps: PublishDeps

  constructor(deps: PublishDeps) {
    this.#deps = deps
  }

  /** Publishes into a line that was entered. Throws AbortError, BACKEND_UNAVAILABLE with nothing sent. */
  async publish(
    line: Line,
    messages: readonly OutgoingMessage[],
    signal: AbortSignal | undefined,
  ): Promise<readonly PublishOutcome[]> {
    const now = this.#deps.clock.now()
    const envelopes = messages.map(({ id, priority = 5 }): Envelope => {
      return { id: id ?? this.#deps.ids.next(), priority, tries: 0, crashes: 0, publishedAt: now }
    })
    const room = line.settings.limit === null ? Infinity : await this.#room(line, line.settings.limit)
    const sent = await abortable(this.#send(line, messages.slice(0, room), envelopes, signal), signal)
    return envelopes.map(({ id }, index) => {
      if (index >= room) return { status: 'failed', id, error: full(line) }
      const one = sent[index]
      if (one === 'held') return { status: 'accepted', id }
      return { status: 'failed', id, error: typeof one === 'object' ? one : this.#nowhere(line, one) }
    })
  }

  async #send(
    line: Line,
    messages: readonly OutgoingMessage[],
    envelopes: readonly Envelope[],
    signal: AbortSignal | undefined,
  ): Promise<readonly (Sent | undefined)[]> {
    const sent = new Array<Sent | undefined>(messages.length)
    const { clock } = this.#deps
    const until = clock.monotonic() + REFUSED_WITHIN_MS
    let rest = messages.map((_, index) => index)
    for (let round = 0; rest.length > 0 && round < ROUNDS && !signal?.aborted;) {
      const parcels = this.#parcels(line, messages, envelopes, rest)
      const ready = parcels.every(isParcel) ? parcels : await Promise.all(parcels.map(async (parcel) => parcel))
      const sending = this.#deps.publisher.send(ready, () => signal?.aborted ?? false)
      const outcomes = await sending.catch((error: unknown) => {
        if (!sent.includes('held') || !(error instanceof MusterError)) throw error
        return rest.map(() => error)
      })
      rest.forEach((index, at) => (sent[index] = outcomes[at]))
      const unroutable = rest.some((index) => sent[index] === 'unroutable')
      const late = clock.monotonic() >= until
      rest = rest.filter((index) => sent[index] === 'unroutable' || (sent[index] === 'refused' && !late))
      if (unroutable) {
        // Somebody deleted the queue: it is made again, and what found none is sent again.
        this.#deps.topology.forget(line)
        await this.#deps.topology.declare(line)
        round++
      } else if (rest.length > 0) await clock.sleep(REFUSED_PAUSE_MS, { unref: true })
    }
    return sent
  }

  #parcels(
    line: Line,
    messages: readonly OutgoingMessage[],
    envelopes: readonly Envelope[],
    indexes: readonly number[],
  ): readonly (Parcel | Promise<Parcel>)[] {
    const parcels: (Parcel | Promise<Parcel>)[] = []
    for (const index of indexes) {
      const [message, envelope] = [messages[index], envelopes[index]]
      if (message && envelope)
        parcels.push(this.#deps.mover.parcel(line, Buffer.from(message.body), envelope, message.delayMs ?? 0))
    }
    return parcels
  }

  /** How many messages the queue takes. The server's own limit would lose delayed ones, so we look before. */
  async #room(line: Line, limit: number): Promise<number> {
    const { main, suspect } = line.names
    const waiting = await this.#deps.desk.ask(
      `counting the queue '${line.name}'`,
      async (channel) =>
        (await channel.checkQueue(main)).messageCount + (await channel.checkQueue(suspect)).messageCount,
      { on: { [NOT_FOUND]: () => 0 } },
    )
    return Math.max(0, limit - waiting)
  }

  #nowhere(line: Line, sent: Sent | undefined): MusterError {
    const why = sent === 'refused' ? 'takes nothing just now' : 'is deleted as often as we make it'
    return unavailable(this.#deps.config.address, `the queue '${line.name}' ${why}`)
  }
}

function isParcel(parcel: Parcel | Promise<Parcel>): parcel is Parcel {
  return !(parcel instanceof Promise)
}

function full({ name, settings }: Line): MusterError {
  return new MusterError('QUEUE_FULL', `queue ${name} is at its limit of ${settings.limit} messages`)
}

/** The caller leaves at once; what was sent before may be there. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
    work.catch(() => undefined) // nobody waits for it after an abort
  }
}
