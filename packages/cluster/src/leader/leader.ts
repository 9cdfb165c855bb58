/**
 * The leader of a record: stands for the lease, leads while it holds it, and stands again. All state of a term dies with it, so a
 * leader that was superseded can never act on what it believed before.
 */
import { setMaxListeners } from 'node:events'
import { closeOnce, TaskGroup, type Clock, type Closable, type Logger, type Worker } from '@muster/core'
import type { Candidacy, JobStore, Leadership } from '@muster/job-manager'
import type { MachineRegistry } from '../registry.js'
import { Bell } from './bell.js'
import { DEFAULT_TUNING, type Desk, type Tuning } from './desk.js'
import { Postponed } from './postponed.js'
import { Term, type TermOptions } from './term.js'

/** What a leader is made of. */
export interface LeaderOptions {
  readonly store: JobStore
  readonly registry: MachineRegistry
  readonly workers: ReadonlyMap<string, Worker>
  readonly filesDirectory: string
  readonly host: string
  /** `USER@HOST:PID`, for people. */
  readonly holder: string
  readonly caretaker: boolean
  readonly clock: Clock
  readonly logger: Logger
  readonly tuning?: Partial<Tuning>
  readonly random?: () => number
  readonly announce: TermOptions['announce']
  /** Calls back for every wake-up of the record until the function that it gives is called. */
  readonly hear: (look: () => void) => () => void
}

/** See the file's head. Starts standing when made; close() gives the lease back at once. */
export class Leader implements Closable {
  readonly #options: LeaderOptions
  readonly #closing = new AbortController()
  readonly #bell = new Bell()
  readonly #candidacy: Candidacy
  readonly #running: Promise<void>
  #epoch: number | null = null

  constructor(options: LeaderOptions) {
    this.#options = options
    this.#candidacy = options.store.stand(options.holder, { caretaker: options.caretaker })
    this.#running = this.#stand()
  }

  /** The epoch while this process leads, else null. */
  get epoch(): number | null {
    return this.#epoch
  }

  /** Look now: something may be due. */
  wake(): void {
    this.#bell.ring()
  }

  readonly close = closeOnce(async () => {
    this.#closing.abort()
    await this.#running
    await this.#candidacy.close()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #stand(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        const leadership = await this.#candidacy.won(signal)
        this.#epoch = leadership.epoch
        await this.#lead(leadership)
      } catch (error) {
        if (signal.aborted) return
        this.#options.logger.error({ err: error }, 'leading the record failed; standing again')
        await this.#options.clock.sleep(1_000, { signal, unref: true }).catch(() => undefined)
      } finally {
        this.#epoch = null
      }
    }
  }

  async #lead({ epoch, lost }: Leadership): Promise<void> {
    const { logger, registry, caretaker, announce, hear } = this.#options
    const stepDown = new AbortController()
    const desk: Desk = {
      ...this.#options,
      epoch,
      actor: `leader:${this.#options.holder}`,
      random: this.#options.random ?? Math.random,
      tuning: { ...DEFAULT_TUNING, ...this.#options.tuning },
      tasks: new TaskGroup((error) => {
        if (!desk.over.aborted) logger.error({ err: error }, 'a task of the leader failed')
      }),
      postponed: new Postponed(this.#options.clock),
      over: AbortSignal.any([this.#closing.signal, lost, stepDown.signal]),
      wake: this.#bell.ring,
      superseded: () => {
        stepDown.abort()
      },
    }
    // Every step under way listens: hundreds at once are no leak.
    setMaxListeners(0, desk.over)
    logger.info({ epoch, caretaker }, 'leading the record')
    // Whoever does not lead, or places nothing, must not take the wake-ups of the one who does.
    const deafen = caretaker ? () => undefined : hear(this.#bell.ring)
    await new Term(desk, { registry, places: !caretaker, announce }, this.#bell).run().finally(deafen)
    logger.info({ epoch }, 'no longer leading')
  }
}
