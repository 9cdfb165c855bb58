/**
 * Work on messages that nobody is to handle: listing dead letters, putting them back in line, cleaning. The server can only hand
 * messages out, so a listing takes them all on a channel of its own and lets go of it: they return to their places in order.
 *
 * Invariant: dead letters of a queue are worked on by one caller at a time, in all processes; the lock is an exclusive queue, which
 * ends with the connection of who holds it.
 */
import { MusterError, type Clock, type Ids } from '@muster/core'
import type { Channel } from 'amqplib'
import type { CleanRequest, DeadLetter, DeadPage } from '../../backend.js'
import type { RabbitConfig } from './config.js'
import type { Desk } from './desk.js'
import { open } from './envelope.js'
import { RESOURCE_LOCKED } from './errors.js'
import { Intake, type Arrival } from './intake.js'
import type { Line } from './line.js'
import type { Link } from './link.js'
import type { Mover } from './mover.js'

/** What the work stands on. */
export interface MaintenanceDeps {
  readonly link: Link
  readonly desk: Desk
  readonly config: RabbitConfig
  readonly mover: Mover
  readonly clock: Clock
  readonly ids: Ids
}

/** At most so many are taken at once. */
const ROUND = 1_000
const LOCK_PAUSE_MS = 20
const LOCK_WITHIN_MS = 15_000
const [BACK_PAUSE_MS, BACK_WITHIN_MS] = [5, 5_000]

/** Works on the queues of one backend. */
export class Maintenance {
  readonly #deps: MaintenanceDeps
  readonly #last = new Map<Line, Promise<unknown>>()

  constructor(deps: MaintenanceDeps) {
    this.#deps = deps
  }

  /** The first `limit` dead letters. */
  async browse(line: Line, limit: number): Promise<DeadPage> {
    return this.#locked(line, () =>
      this.#takingDead(line, async (intake) => {
        const letters: DeadLetter[] = []
        while (letters.length < limit) {
          const round = await take(intake, line.names.dead, Math.min(ROUND, limit - letters.length))
          if (round.length === 0) break
          letters.push(...round.map((arrival) => this.#letter(arrival)))
        }
        return { letters }
      }),
    )
  }

  /** Puts dead letters back in line, oldest first; says how many. Those that die meanwhile stay. */
  async redrive(line: Line, limit = Infinity): Promise<number> {
    return this.#locked(line, () =>
      this.#takingDead(line, async (intake) => {
        let left = Math.min(limit, await this.#count(line.names.dead))
        let redriven = 0
        while (left > 0) {
          const round = await take(intake, line.names.dead, Math.min(ROUND, left))
          if (round.length === 0) break
          const moved = await this.#deps.mover.move(
            round.map(({ message }) => {
              const { death: _, ...envelope } = open(message, () => this.#deps.ids.next())
              const again = { ...envelope, tries: 0, crashes: 0 }
              return { line, intake, tag: message.fields.deliveryTag, content: message.content, envelope: again }
            }),
          )
          redriven += moved.filter(Boolean).length
          left -= round.length
        }
        return redriven
      }),
    )
  }

  /** Removes what waits, or what is dead; says how many. */
  async clean(line: Line, { state = 'waiting', limit }: CleanRequest): Promise<number> {
    const { main, suspect, dead } = line.names
    const queues = state === 'dead' ? [dead] : [main, suspect]
    const clean = async (): Promise<number> => {
      let removed = 0
      for (const queue of queues)
        removed += await (limit === undefined ? this.#purge(queue) : this.#remove(queue, limit - removed))
      return removed
    }
    return state === 'dead' ? this.#locked(line, clean) : clean()
  }

  #letter({ message }: Arrival): DeadLetter {
    const { death, ...envelope } = open(message, () => this.#deps.ids.next())
    // A message that somebody else put here says nothing of its death.
    const { reason, detail, diedAt } = death ?? { reason: 'rejected', detail: '', diedAt: envelope.publishedAt }
    return { ...envelope, body: message.content, reason, detail, diedAt }
  }

  async #remove(queue: string, limit: number): Promise<number> {
    return this.#taking(async (intake) => {
      let removed = 0
      while (removed < limit) {
        const round = await take(intake, queue, Math.min(ROUND, limit - removed))
        if (round.length === 0) break
        const done = await intake.ack(round.map(({ message }) => message.fields.deliveryTag))
        if (!done) throw this.#deps.link.unavailable()
        removed += round.length
      }
      return removed
    })
  }

  async #purge(queue: string): Promise<number> {
    const purge = async (channel: Channel): Promise<number> => (await channel.purgeQueue(queue)).messageCount
    // Not asked again after a lost connection: the second answer would leave out what the first had removed.
    return this.#deps.desk.ask('cleaning a queue', purge, { once: true })
  }

  async #count(queue: string): Promise<number> {
    return this.#deps.desk.ask('counting a queue', async (channel) => (await channel.checkQueue(queue)).messageCount)
  }

  /** A channel for this work alone; whatever was taken and not acknowledged goes back when it ends. */
  async #taking<T>(work: (intake: Intake) => Promise<T>): Promise<T> {
    const intake = await Intake.open(this.#deps)
    try {
      const result = await work(intake)
      if (!intake.alive) throw this.#deps.link.unavailable()
      return result
    } finally {
      await intake.close()
    }
  }

  /** The same for dead letters. A quorum queue has them back a moment after the channel's end, and who looked then would find none. */
  async #takingDead<T>(line: Line, work: (intake: Intake) => Promise<T>): Promise<T> {
    const { clock } = this.#deps
    let out = 0
    const result = await this.#taking(async (intake) => {
      const done = await work(intake)
      out = intake.size
      return done
    })
    const until = clock.monotonic() + BACK_WITHIN_MS
    while (out > 0 && clock.monotonic() < until && (await this.#count(line.names.dead)) < out)
      await clock.sleep(BACK_PAUSE_MS, { unref: true })
    return result
  }

  /** First among the callers of this process, then among all. */
  async #locked<T>(line: Line, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(line)
    const mine = (async () => {
      await before?.catch(() => undefined) // its caller has heard of it
      await this.#lock(line)
      try {
        return await work()
      } finally {
        await this.#unlock(line)
      }
    })()
    this.#last.set(line, mine)
    const forget = (): void => {
      if (this.#last.get(line) === mine) this.#last.delete(line)
    }
    mine.then(forget, forget)
    return mine
  }

  async #lock(line: Line): Promise<void> {
    const { clock, desk } = this.#deps
    const until = clock.monotonic() + LOCK_WITHIN_MS
    const what = `locking the dead letters of '${line.name}'`
    const tryLock = (): Promise<boolean> =>
      desk.ask<boolean>(
        what,
        async (channel) => {
          await channel.assertQueue(line.names.lock, { exclusive: true, durable: false, autoDelete: true })
          return true
        },
        {
          on: { [RESOURCE_LOCKED]: () => false },
        },
      )
    while (!(await tryLock())) {
      if (clock.monotonic() > until)
        throw new MusterError('BACKEND_UNAVAILABLE', `RabbitMQ: ${what}: another process has been at it for too long`)
      await clock.sleep(LOCK_PAUSE_MS)
    }
  }

  async #unlock(line: Line): Promise<void> {
    // Where the connection has gone the lock has gone with it.
    await this.#deps.desk.ask('unlocking', (channel) => channel.deleteQueue(line.names.lock)).catch(() => undefined)
  }
}

/** At most `max` of what a queue holds now. */
async function take(intake: Intake, queue: string, max: number): Promise<readonly Arrival[]> {
  const arrivals: Arrival[] = []
  const consumer = await intake.consume(queue, max, (arrival) => {
    if (arrival) arrivals.push(arrival)
  })
  if (consumer !== undefined) await intake.cancel(consumer, arrivals.length === max)
  return arrivals
}
