/**
 * The attempts of one machine, each moved from phase to phase. An inspection says what an attempt is; a step does what comes next, one
 * step at a time per attempt. A step that fails is repeated after a pause: every verb may be repeated.
 */
import { isMusterError, withJob } from '@muster/core'
import type { LiveAttempt, Wish } from '@muster/job-manager'
import type { Observation } from '../launch/launcher.js'
import { totalHeld, type Holding } from '../scheduler/snapshot.js'
import type { Bell } from './bell.js'
import { bury } from './burying.js'
import { collect } from './collecting.js'
import type { Desk } from './desk.js'
import { end } from './ending.js'
import { giveBack, launch } from './launching.js'
import type { ManagedMachine } from './machine.js'
import { noteProgress, noteRunning } from './observing.js'
import type { Remover } from './remover.js'
import { reportStuck, stop } from './stopping.js'
import { holding, nameOf, track, type Ending, type Tracked } from './tracked.js'
import { markConfirmed, markUnconfirmed, replaceLost } from './unconfirmed.js'

/** See the file's head. */
export class Attempts {
  readonly #desk: Desk
  readonly #bell: Bell
  readonly #tracked = new Map<string, Tracked>()

  constructor(desk: Desk, bell: Bell, live: readonly LiveAttempt[]) {
    this.#desk = desk
    this.#bell = bell
    for (const attempt of live) this.#take(attempt, true)
  }

  /** What they hold of the machine together. */
  get held(): Holding {
    return totalHeld([...this.#tracked.values()].map(holding))
  }

  /** Whether any attempt is in hand. */
  get some(): boolean {
    return this.#tracked.size > 0
  }

  /** Whether the attempt of this name is in hand. */
  has(name: string): boolean {
    return this.#tracked.has(name)
  }

  /** Takes an attempt into hand that was just placed. */
  take(live: LiveAttempt): void {
    this.#take(live, false)
  }

  /** Has a wish carried out. False when the job has no open attempt here. */
  cancel(wish: Wish): boolean {
    const mine = this.#open().filter((t) => t.ref.jobId === wish.jobId)
    for (const t of mine.filter(({ cancel }) => cancel === null)) {
      t.cancel = wish
      t.launch?.abort()
      this.#bell.ring()
    }
    return mine.length > 0
  }

  /** The machine says that an attempt changed, or that some did. */
  hint(name?: string): void {
    for (const t of this.#open()) if (name === undefined || nameOf(t.ref) === name) t.hinted = true
    this.#bell.ring()
  }

  /** Asks the machine about all that are open (when adopting), all that run, or those of them that were hinted at. One round trip; false where there was nothing to ask. */
  async inspect(machine: ManagedMachine, which: 'open' | 'running' | 'hinted'): Promise<boolean> {
    const watched = this.#open().filter(
      (t) => !t.busy && (which === 'open' || (t.phase === 'observe' && (which === 'running' || t.hinted))),
    )
    if (watched.length === 0) return false
    for (const t of watched) t.hinted = false
    const keys = watched.map((t) => t.key)
    const observations = await machine.launcher.inspect(keys, this.#desk.over)
    // At once, not one after the other: what they write shares a commit.
    await Promise.all(
      watched.map(async (t, index) => {
        const seen = observations[index]
        if (seen && !t.busy) await this.#apply(machine, t, seen)
      }),
    )
    return true
  }

  /** Starts the next step of everything that is due. */
  step(machine: ManagedMachine, remover: Remover): void {
    for (const t of this.#tracked.values()) {
      if (t.busy || t.notBefore > this.#desk.clock.monotonic()) continue
      const verb = this.#nextVerb(machine, remover, t)
      if (verb) this.#do(t, verb)
    }
  }

  /** The machine is silent: nothing changes but the mark, unless the job itself declared that it may be replaced. */
  async unconfirmed(machine: string): Promise<void> {
    for (const t of this.#open().filter(({ busy }) => !busy)) {
      await markUnconfirmed(this.#desk, machine, t)
      await replaceLost(this.#desk, t)
    }
  }

  #take(live: LiveAttempt, adopted: boolean): void {
    const t = track(live, adopted)
    this.#tracked.set(nameOf(t.ref), t)
    this.#bell.ring()
  }

  #open(): Tracked[] {
    return [...this.#tracked.values()].filter(({ phase }) => phase === 'launch' || phase === 'observe')
  }

  async #apply(machine: ManagedMachine, t: Tracked, seen: Observation): Promise<void> {
    await markConfirmed(this.#desk, machine, t)
    switch (seen.status) {
      case 'running':
        t.phase = 'observe'
        await noteRunning(this.#desk, machine, t, seen)
        return noteProgress(this.#desk, t, seen.progress)
      case 'exited':
        if (t.live.job.conditions.stuck) return
        if (seen.exit.stuck.length > 0) return reportStuck(this.#desk, machine, t, seen.exit.stuck)
        await noteProgress(this.#desk, t, seen.progress)
        return ended(t, { kind: 'exit', ...seen })
      case 'gone':
        return ended(t, {
          kind: 'lost',
          text: seen.reason === 'reboot' ? 'the machine was rebooted' : 'its supervisor was killed',
        })
      case 'absent':
        if (t.phase === 'observe') ended(t, { kind: 'lost', text: 'its directory is gone from the machine' })
        return
      case 'foreign':
        this.#desk.logger.warn(
          { attempt: nameOf(t.ref), machine: machine.name },
          'another token holds this attempt on the machine',
        )
    }
  }

  #nextVerb(machine: ManagedMachine, remover: Remover, t: Tracked): (() => Promise<void>) | undefined {
    const unwanted = t.cancel !== null || t.live.job.conditions.stuck !== undefined
    switch (t.phase) {
      case 'launch':
        return unwanted ? () => this.#stop(machine, t) : () => this.#launch(machine, remover, t)
      case 'observe':
        return unwanted ? () => this.#stop(machine, t) : undefined
      case 'end':
        return () => this.#end(machine, remover, t)
      case 'collect':
        return () => this.#collect(machine, remover, t)
      case 'bury':
        return () => this.#bury(machine, remover, t)
    }
  }

  async #launch(machine: ManagedMachine, remover: Remover, t: Tracked): Promise<void> {
    const unsent = 'the leader ended before it was sent to the machine'
    // Hints that come from here on are about this start.
    t.hinted = false
    const outcome = t.adopted ? await giveBack(this.#desk, machine, t, unsent) : await launch(this.#desk, machine, t)
    if (!outcome.started) return this.#forget(t, remover)
    t.phase = 'observe'
    await noteRunning(this.#desk, machine, t, outcome)
  }

  async #stop(machine: ManagedMachine, t: Tracked): Promise<void> {
    if (!(await stop(this.#desk, machine, t))) {
      t.phase = 'observe'
      t.notBefore = this.#desk.clock.monotonic() + this.#desk.tuning.stuckRetryMs
      return
    }
    const [seen] = await machine.launcher.inspect([t.key], this.#desk.over)
    if (seen?.status === 'exited') ended(t, { kind: 'exit', ...seen })
    else ended(t, { kind: 'lost', text: 'nothing of it is left on the machine' })
  }

  async #end(machine: ManagedMachine, remover: Remover, t: Tracked): Promise<void> {
    const { ending } = t
    if (!ending) return
    if (ending.kind === 'lost' && !(await stop(this.#desk, machine, t)))
      throw new Error('processes of a lost attempt survive')
    const job = await end(this.#desk, machine, t, ending)
    t.live = { ...t.live, job }
    t.phase = 'collect'
    if (ending.kind === 'exit' && (ending.exit.outcome === 'never-started' || ending.exit.leftNothing))
      this.#forget(t, remover)
    this.#desk.wake()
  }

  async #collect(machine: ManagedMachine, remover: Remover, t: Tracked): Promise<void> {
    await collect(this.#desk, machine, t)
    this.#forget(t, remover)
  }

  async #bury(machine: ManagedMachine, remover: Remover, t: Tracked): Promise<void> {
    if (!(await stop(this.#desk, machine, t))) throw new Error('processes of a replaced attempt survive')
    await bury(this.#desk, machine, t)
    this.#forget(t, remover)
  }

  #do(t: Tracked, verb: () => Promise<void>): void {
    t.busy = true
    this.#desk.tasks.run(async () => {
      try {
        await withJob({ jobId: t.ref.jobId, attempt: t.ref.attempt }, verb)
        t.failures = 0
      } catch (error) {
        await this.#failed(t, error)
      } finally {
        t.busy = false
        this.#bell.ring()
      }
    })
  }

  async #failed(t: Tracked, error: unknown): Promise<void> {
    const { over, clock, tuning, logger } = this.#desk
    const aborted = error instanceof Error && error.name === 'AbortError'
    if (over.aborted || (aborted && t.cancel)) return
    if (isMusterError(error, 'SCHEDULER_SUPERSEDED')) return this.#desk.superseded()
    if (isStale(error)) return this.#readAgain(t)
    t.notBefore = clock.monotonic() + Math.min(tuning.backoffMs * 2 ** t.failures++, tuning.backoffMaxMs)
    logger.warn({ err: error, phase: t.phase }, 'a step of an attempt failed and will be repeated')
  }

  /** The record knows better: drops what was believed and takes what it says. */
  async #readAgain(t: Tracked): Promise<void> {
    const live = await this.#desk.store.live({ jobId: t.ref.jobId })
    this.#tracked.delete(nameOf(t.ref))
    const same = live.find(({ attempt }) => attempt.number === t.ref.attempt)
    if (same) this.#take(same, true)
    this.#desk.wake()
  }

  #forget(t: Tracked, remover: Remover): void {
    this.#tracked.delete(nameOf(t.ref))
    remover.add(t.key)
    // What is being collected holds nothing any more.
    if (t.phase !== 'collect') this.#desk.wake()
  }
}

function ended(t: Tracked, ending: Ending): void {
  t.ending = ending
  t.phase = 'end'
}

function isStale(error: unknown): boolean {
  return (['JOB_STATE_CONFLICT', 'ATTEMPT_SUPERSEDED', 'JOB_NOT_FOUND'] as const).some((code) =>
    isMusterError(error, code),
  )
}
