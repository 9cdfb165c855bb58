/**
 * A term: one leadership from its election to its end. It adopts machine by machine, then sweeps: what is due becomes ready, wishes
 * are handed to the keepers, and what waits is placed while anything is free. A caretaker's term does all that but places nothing.
 */
import { isMusterError } from '@muster/core'
import type { WaitingJob } from '@muster/job-manager'
import type { MachineRegistry } from '../registry.js'
import { schedule, type Placement } from '../scheduler/schedule.js'
import type { Snapshot } from '../scheduler/snapshot.js'
import type { Bell } from './bell.js'
import type { Desk } from './desk.js'
import { daily, tidyHere } from './housekeeping.js'
import { Keeper } from './keeper.js'
import { whyUnresolved } from './secrets.js'
import { markUnconfigured } from './silence.js'

const PAGE = 256
const PAGE_MAX = 10_000
const PROMOTE = 1_000

/** What a term needs beside the desk. */
export interface TermOptions {
  readonly registry: MachineRegistry
  readonly places: boolean
  /** Sends the wake-ups of jobs that became ready. */
  announce(ready: readonly { readonly id: string; readonly queue: string }[]): void
}

/** See the file's head. */
export class Term {
  readonly #desk: Desk
  readonly #options: TermOptions
  readonly #bell: Bell
  readonly #keepers = new Map<string, Keeper>()
  #changed = true
  #forgetChange: (() => void) | undefined
  #nextDueAt: number | null = null

  constructor(desk: Desk, options: TermOptions, bell: Bell) {
    this.#desk = desk
    this.#options = options
    this.#bell = bell
  }

  /** Leads until the leadership is over. */
  async run(): Promise<void> {
    const { store, over, clock, tuning, tasks } = this.#desk
    await this.#engageKeepers()
    const forget = store.onChange(this.#recordChanged)
    const isDue = daily(this.#desk)
    try {
      while (!over.aborted) {
        await this.#sweep()
        if (this.#options.places && isDue()) tasks.run(() => tidyHere(this.#desk))
        const due = this.#nextDueAt === null ? tuning.sweepMs : Math.max(10, this.#nextDueAt - clock.now())
        const rung = await this.#bell.heard(clock, Math.min(tuning.sweepMs, due), over)
        if (!rung) this.#changed = true
      }
    } finally {
      forget()
      this.#forgetChange?.()
      await tasks.settled()
    }
  }

  /**
   * The record tells of every commit, our own included. What our own work made free is placed at once (`wake`); what others may
   * have changed is looked for a moment later, so that a burst of commits is one look.
   */
  readonly #recordChanged = (): void => {
    const { clock, tuning } = this.#desk
    this.#forgetChange ??= clock.after(tuning.changeMs, () => {
      this.#forgetChange = undefined
      this.#changed = true
      this.#bell.ring()
    })
  }

  async #engageKeepers(): Promise<void> {
    const { store, tasks } = this.#desk
    const live = await store.live()
    for (const name of this.#options.registry.configs.keys()) {
      const here = live.filter(({ attempt }) => attempt.machine === name)
      const keeper = new Keeper(this.#desk, name, () => this.#options.registry.reach(name), here)
      this.#keepers.set(name, keeper)
      tasks.run(() => keeper.run())
    }
    const homeless = live.filter(({ attempt }) => !this.#keepers.has(attempt.machine))
    if (homeless.length > 0)
      this.#desk.logger.warn(
        { machines: [...new Set(homeless.map(({ attempt }) => attempt.machine))] },
        'jobs run on machines that are not configured here; they stay as they are',
      )
    await markUnconfigured(this.#desk, this.#options.registry.configs)
  }

  /** One bounded step over the record. */
  async #sweep(): Promise<void> {
    const { over, logger } = this.#desk
    try {
      if (this.#changed) await this.#readRecord()
      if (this.#options.places) await this.#placeWaiting()
    } catch (error) {
      if (over.aborted) return
      if (isMusterError(error, 'SCHEDULER_SUPERSEDED')) this.#desk.superseded()
      else logger.error({ err: error }, 'a sweep failed and will be repeated')
    }
  }

  /** What others may have changed: jobs that became due, wishes, machines drained, GPUs freed by hand. */
  async #readRecord(): Promise<void> {
    const { store, epoch } = this.#desk
    this.#changed = false
    const { ready, nextDueAt } = await store.promoteDue(epoch, PROMOTE)
    this.#nextDueAt = nextDueAt
    this.#changed ||= ready.length === PROMOTE
    if (ready.length > 0) this.#options.announce(ready)
    await Promise.all([this.#carryOutWishes(), this.#readDrains(), this.#refreshQuarantines()])
  }

  async #carryOutWishes(): Promise<void> {
    for (const wish of await this.#desk.store.wishes()) {
      const taken = [...this.#keepers.values()].some((keeper) => keeper.cancel(wish))
      if (!taken) this.#desk.logger.debug({ wish }, 'a wish waits for its machine')
    }
  }

  async #readDrains(): Promise<void> {
    const drains = await this.#desk.store.drains()
    for (const keeper of this.#keepers.values()) keeper.drain(drains.get(keeper.name) ?? null)
  }

  async #refreshQuarantines(): Promise<void> {
    const machines = [...this.#keepers.values()].flatMap(({ machine }) => machine ?? [])
    if (machines.every(({ quarantined }) => Object.keys(quarantined).length === 0)) return
    const records = await this.#desk.store.machines()
    for (const machine of machines) {
      const record = records.find(({ name }) => name === machine.name)
      if (record) machine.refresh(record)
    }
  }

  /** Reads what waits in pages and places what fits, until nothing is free or nothing new was read. */
  async #placeWaiting(): Promise<void> {
    const exclude = new Set<string>()
    for (let limit = PAGE; this.#anythingFree() && !this.#desk.over.aborted; limit = Math.min(limit * 4, PAGE_MAX)) {
      const waiting = await this.#desk.store.waiting({ limit, excludeShapes: [...exclude] })
      const known = exclude.size
      const due = waiting.filter(({ id }) => !this.#desk.postponed.has(id))
      const startable = await this.#startable(due)
      const plan = schedule(this.#snapshot(), startable)
      const placed = await Promise.all(plan.placements.map((placement) => this.#place(placement)))
      if (placed.includes('drained')) await this.#readDrains()
      const passedOver = [...due.filter((job) => !startable.includes(job)), ...plan.refused.map(({ job }) => job)]
      for (const { shape } of passedOver) exclude.add(shape)
      const isStuck = limit === PAGE_MAX && exclude.size === known && plan.placements.length === 0
      if (waiting.length < limit || isStuck) return
    }
  }

  #snapshot(): Snapshot {
    const machines = [...this.#keepers.values()].map((keeper) => keeper.view)
    return { machines, workers: this.#desk.workers, leader: this.#desk.actor }
  }

  #anythingFree(): boolean {
    return this.#snapshot().machines.some(
      ({ closed, facts, held }) => closed === null && facts !== null && held.cpus < facts.cpus,
    )
  }

  /** Jobs whose secrets can be read here; the others wait, and `explain` says why. */
  async #startable(waiting: readonly WaitingJob[]): Promise<WaitingJob[]> {
    if (waiting.every(({ secrets }) => Object.keys(secrets).length === 0)) return [...waiting]
    const checks = waiting.map(
      async (job) => Object.keys(job.secrets).length === 0 || (await whyUnresolved(job.secrets)) === undefined,
    )
    const readable = await Promise.all(checks)
    return waiting.filter((_, index) => readable[index])
  }

  async #place({ job, machine, gpus }: Placement): Promise<'placed' | 'gone' | 'drained'> {
    const { store, epoch, actor, logger } = this.#desk
    try {
      this.#keepers.get(machine)?.take(await store.place(epoch, job.id, { machine, gpus, actor }))
      return 'placed'
    } catch (error) {
      if (isMusterError(error, 'MACHINE_DRAINED')) return 'drained'
      // Paused between the page and the placement: the next page comes without its queue.
      if (isMusterError(error, 'QUEUE_PAUSED')) return 'gone'
      // Cancelled, or ended by its third placement without a start: the record says so, nothing to place.
      if (!isMusterError(error, 'JOB_STATE_CONFLICT')) throw error
      logger.debug({ jobId: job.id }, 'a job was no longer queued when it was to be placed')
      return 'gone'
    }
  }
}
