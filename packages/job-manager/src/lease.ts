/**
 * The lease of a record: one leader at a time, without any shared clock. The holder counts a beat up; a contender takes over
 * once it has seen the same (epoch, beat) for a whole lease of its own monotonic time. A frozen contender proves nothing: each
 * gap between two looks counts as at most two polls.
 *
 * Invariant: the epoch grows with each takeover and guards every write, so a holder that was robbed while it was frozen learns
 * it at its next write, whatever it believed. Given back, or held by a process that is certainly dead, it is taken at once;
 * so is a caretaker's by a full candidate.
 */
import { abortReason, closeOnce, isMusterError, MusterError, TaskGroup, type Clock, type Logger } from '@muster/core'
import { isDead, thisProcess, type Holder } from './holder.js'
import { Pause } from './pause.js'
import type { SqlDriver, Touched } from './sql/driver.js'
import type { Candidacy, Leadership } from './store.js'

/** How long a lease lasts and how often it is renewed, milliseconds. */
export interface LeaseTimes {
  readonly leaseMs: number
  readonly beatMs: number
}

/** 10 s and 3 s. */
export const LEASE_TIMES: LeaseTimes = { leaseMs: 10_000, beatMs: 3_000 }

/** The lease as the record has it. */
interface LeaseRow {
  readonly holder: string | null
  readonly epoch: number
  readonly beat: number
  readonly caretaker: boolean
  readonly process: Holder
}

interface Seen {
  readonly epoch: number
  readonly beat: number
  /** How long it has been seen unchanged, by our own clock. */
  unchangedMs: number
  at: number
}

/** What a candidate stands with. */
export interface StandOptions extends LeaseTimes {
  readonly driver: SqlDriver
  readonly clock: Clock
  readonly logger: Logger
  readonly holder: string
  readonly caretaker: boolean
  /** Called when it has been closed. */
  readonly onClosed: () => void
}

/** Stands for the lease; tells the store which epochs this process leads with. */
export class Stand implements Candidacy {
  readonly close: () => Promise<void>
  readonly #options: StandOptions
  readonly #closing = new AbortController()
  readonly #tasks: TaskGroup
  readonly #pollMs: number
  #current: { readonly epoch: number; readonly lost: AbortController } | undefined

  constructor(options: StandOptions) {
    this.#options = options
    this.#pollMs = Math.max(20, Math.min(250, options.leaseMs / 20))
    this.#tasks = new TaskGroup((error) => {
      options.logger.warn({ err: error }, 'the lease could not be watched')
    })
    this.close = closeOnce(async () => {
      this.#closing.abort(new MusterError('STORE_CLOSED', 'no longer stands for the lease'))
      await this.#giveBack()
      await this.#tasks.settled()
      options.onClosed()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async won(signal?: AbortSignal): Promise<Leadership> {
    const stop = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    if (this.#current) return leadership(this.#current)
    const self = await thisProcess()
    const pause = new Pause(this.#options.driver, maybeLease)
    try {
      let seen: Seen | undefined
      for (;;) {
        if (stop.aborted) throw abortReason(stop)
        const row = await readLease(this.#options.driver)
        seen = this.#compare(seen, row)
        if (await this.#mayTake(row, seen, self)) {
          const epoch = await this.#take(seen, self)
          if (epoch !== undefined) return await this.#lead(epoch, stop)
          seen = undefined
        }
        await pause.wait(this.#options.clock, this.#pollMs, stop, false)
      }
    } finally {
      pause.remove()
    }
  }

  /** This process learned at a write that `epoch` does not lead any more. */
  superseded(epoch: number): void {
    if (this.#current?.epoch === epoch) this.#lose(this.#current, 'another process leads this record now')
  }

  #compare(before: Seen | undefined, { epoch, beat }: LeaseRow): Seen {
    const now = this.#options.clock.monotonic()
    if (before?.epoch !== epoch || before.beat !== beat) return { epoch, beat, unchangedMs: 0, at: now }
    before.unchangedMs += Math.min(now - before.at, 2 * this.#pollMs)
    before.at = now
    return before
  }

  async #mayTake(row: LeaseRow, seen: Seen, self: Holder): Promise<boolean> {
    if (row.holder === null || seen.unchangedMs >= this.#options.leaseMs) return true
    if (row.caretaker && !this.#options.caretaker) return true
    return isDead(row.process, self)
  }

  async #take(seen: Seen, { host, pid, pidStart }: Holder): Promise<number | undefined> {
    const { driver, holder, caretaker } = this.#options
    const values = [holder, caretaker ? 1 : 0, host, pid, pidStart, seen.epoch, seen.beat]
    const [row] = await driver.exec('takeLease', values)
    return row && Number(row[0])
  }

  async #lead(epoch: number, stop: AbortSignal): Promise<Leadership> {
    const current = { epoch, lost: new AbortController() }
    this.#current = current
    if (stop.aborted) {
      await this.#giveBack()
      throw abortReason(stop)
    }
    this.#tasks.run(() => this.#keep(current))
    return leadership(current)
  }

  /** Beats until it is lost; looks in between whenever somebody else writes, so that a caretaker yields soon. */
  async #keep(current: { readonly epoch: number; readonly lost: AbortController }): Promise<void> {
    const { driver, clock, logger, beatMs } = this.#options
    const pause = new Pause(driver, maybeLease)
    try {
      let beaten = clock.monotonic()
      while (!current.lost.signal.aborted) {
        await pause.wait(clock, Math.max(1, beaten + beatMs - clock.monotonic()), current.lost.signal, false)
        if (current.lost.signal.aborted) return
        const due = clock.monotonic() - beaten >= beatMs
        try {
          const [row] = due ? await driver.exec('beat', [current.epoch]) : await driver.query('epoch', [])
          if (!row || (!due && Number(row[0]) !== current.epoch)) this.#lose(current, 'another process took the lease')
          if (due) beaten = clock.monotonic()
        } catch (error) {
          if (isMusterError(error, 'STORE_CLOSED') || isMusterError(error, 'STORE_REPLACED'))
            return this.#lose(current, error.message)
          // A full or busy disk may pass; if it does not, somebody else takes over and the next write tells.
          logger.warn({ err: error }, 'a beat of the lease failed')
          beaten = clock.monotonic()
        }
      }
    } finally {
      pause.remove()
    }
  }

  #lose(current: { readonly epoch: number; readonly lost: AbortController }, message: string): void {
    if (this.#current === current) this.#current = undefined
    current.lost.abort(new MusterError('SCHEDULER_SUPERSEDED', message, { details: { epoch: current.epoch } }))
  }

  async #giveBack(): Promise<void> {
    const current = this.#current
    if (!current) return
    this.#lose(current, 'the lease was given back')
    try {
      await this.#options.driver.exec('giveLease', [current.epoch])
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the lease was not given back: it runs out by itself')
    }
  }
}

/** Reads the lease. */
export async function readLease(driver: SqlDriver): Promise<LeaseRow> {
  const [row] = await driver.query('lease', [])
  const [holder = null, epoch, beat, caretaker, host, pid, pidStart] = row ?? []
  return {
    holder: holder === null ? null : String(holder),
    epoch: Number(epoch),
    beat: Number(beat),
    caretaker: caretaker === 1,
    process: { host: String(host ?? ''), pid: Number(pid), pidStart: String(pidStart ?? '') },
  }
}

function leadership({ epoch, lost }: { readonly epoch: number; readonly lost: AbortController }): Leadership {
  return { epoch, lost: lost.signal }
}

/** Another process wrote, or this one did without an event: that may have been about the lease. */
function maybeLease(touched: Touched | undefined): boolean {
  return touched === undefined || touched.size === 0
}
