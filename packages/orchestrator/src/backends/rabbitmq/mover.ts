/**
 * Moves messages from a delivery to another queue: retries, releases, crashes, dead letters. The server has no such step, so a copy is
 * published and confirmed, then the original is acknowledged. A crash between the two leaves both (`atomicMove` is absent): a duplicate,
 * never a loss.
 *
 * Invariant: no original is acknowledged before its copy is held by a queue.
 */
import type { Clock, Logger } from '@muster/core'
import { isMusterError } from '@muster/core'
import type { DeadReason } from '../../backend.js'
import type { QueueKind } from './config.js'
import { seal, type Envelope } from './envelope.js'
import type { Intake } from './intake.js'
import type { Ladder } from './ladder.js'
import type { Line } from './line.js'
import type { Parcel, Publisher } from './publisher.js'
import type { Topology } from './topology.js'

/** A message that is out, and where it goes. */
export interface Move {
  readonly line: Line
  readonly intake: Intake
  readonly tag: number
  readonly content: Buffer
  /** As it shall be there. With a `death` it becomes a dead letter. */
  readonly envelope: Envelope
  readonly delayMs?: number
}

/** What a mover stands on. */
export interface MoverDeps {
  readonly publisher: Publisher
  readonly topology: Topology
  readonly ladder: Ladder
  readonly queueKind: QueueKind
  readonly clock: Clock
  readonly logger: Logger
}

const PAUSE_MS = 100

/** Makes the moves of one backend. */
export class Mover {
  readonly #deps: MoverDeps
  #closed = false

  constructor(deps: MoverDeps) {
    this.#deps = deps
  }

  /**
   * Makes the moves; true for each that is confirmed from end to end. False: the original's channel ended before that, so the
   * message comes back by itself, perhaps beside its copy. Tries until one or the other.
   */
  async move(moves: readonly Move[]): Promise<readonly boolean[]> {
    const moved = new Array<boolean>(moves.length).fill(false)
    let rest = moves.map((move, index) => ({ move, index }))
    while (rest.length > 0 && !this.#closed) {
      const sent = await this.#publish(rest.map(({ move }) => move))
      const held = rest.filter((_, at) => sent[at] === 'held')
      await Promise.all(held.map(async ({ move, index }) => (moved[index] = await move.intake.ack([move.tag]))))
      rest = rest.filter(({ move }, at) => sent[at] !== 'held' && move.intake.alive)
      for (const line of new Set(rest.map(({ move }) => move.line))) this.#deps.topology.forget(line)
      if (rest.length > 0) await this.#pause()
    }
    return moved
  }

  /** Ends the tries. */
  close(): void {
    this.#closed = true
  }

  /** Where a message is published to wait in its line, or to be a dead letter; a promise only where a delay has a way to be made. */
  parcel(line: Line, content: Buffer, envelope: Envelope, delayMs: number): Parcel | Promise<Parcel> {
    const properties = seal(envelope, this.#deps.queueKind === 'classic')
    const queue = envelope.death ? line.names.dead : line.home(envelope.crashes)
    const { ladder, clock, queueKind } = this.#deps
    if (delayMs === 0) return { exchange: '', key: queue, content, properties, takenBy: queueKind }
    const asked = clock.monotonic()
    return ladder.route(queue, delayMs, properties.priority).then(({ exchange, key, cc, firstMs }) => {
      // The first message of a delay waits for its queues to be made. What that took it stays shorter on its first step: the server lets
      // it go by its own life where it is at the head, else behind those before it, which is no later than without, and never early.
      const lost = Math.floor(clock.monotonic() - asked)
      const life = lost === 0 ? {} : { expiration: String(Math.max(0, firstMs - lost)) }
      return { exchange, key, content, properties: { ...properties, CC: [...cc], ...life }, takenBy: 'quorum' }
    })
  }

  async #publish(moves: readonly Move[]): Promise<readonly unknown[]> {
    try {
      for (const line of new Set(moves.map(({ line }) => line))) await this.#deps.topology.declare(line)
      const parcels: Parcel[] = []
      for (const { line, content, envelope, delayMs = 0 } of moves)
        parcels.push(await this.parcel(line, content, envelope, delayMs))
      const sent = await this.#deps.publisher.send(parcels)
      moves.forEach(({ line, envelope }, index) => {
        if (sent[index] === 'held' && !envelope.death && line.home(envelope.crashes) === line.names.suspect)
          line.suspects = true
      })
      return sent
    } catch (error) {
      if (!isMusterError(error, 'BACKEND_UNAVAILABLE'))
        this.#deps.logger.error({ err: error }, 'moving messages failed')
      return []
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.after(PAUSE_MS, resolve))
  }
}

/** The message after one more of its holders vanished: waiting again, or dead by its last crash. */
export function crashed(line: Line, envelope: Envelope, now: number): Envelope {
  const crashes = envelope.crashes + 1
  if (crashes < line.settings.maxCrashes) return { ...envelope, crashes }
  return bury({ ...envelope, crashes }, 'max-crashes', '', now)
}

/** The message as a dead letter. */
export function bury(envelope: Envelope, reason: DeadReason, detail: string, diedAt: number): Envelope {
  return { ...envelope, death: { reason, detail, diedAt } }
}
