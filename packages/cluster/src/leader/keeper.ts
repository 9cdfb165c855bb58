/**
 * The keeper of one machine during one leadership: it reaches the machine, adopts what runs there, and from then on attends to its
 * attempts. Nothing is placed on a machine before it was asked what runs there; one that does not answer holds up only itself,
 * and changes no job's state.
 */
import { isMusterError } from '@muster/core'
import type { LiveAttempt, Wish } from '@muster/job-manager'
import type { AttemptKey } from '../launch/launcher.js'
import type { ReachedMachine } from '../registry.js'
import type { MachineView } from '../scheduler/snapshot.js'
import { Attempts } from './attempts.js'
import { Bell } from './bell.js'
import type { Desk } from './desk.js'
import { daily, tidy } from './housekeeping.js'
import { ManagedMachine } from './machine.js'
import { Remover } from './remover.js'
import { nameOf } from './tracked.js'

/** See the file's head. */
export class Keeper {
  readonly name: string
  readonly #desk: Desk
  readonly #open: () => ReachedMachine
  readonly #bell = new Bell()
  readonly #attempts: Attempts
  #machine: ManagedMachine | undefined
  #closed: string | null = 'not asked yet what runs there'

  constructor(desk: Desk, name: string, open: () => ReachedMachine, live: readonly LiveAttempt[]) {
    this.name = name
    this.#desk = desk
    this.#open = open
    this.#attempts = new Attempts(desk, this.#bell, live)
  }

  /** The machine as the scheduler sees it. */
  get view(): MachineView {
    const { name, machine } = this
    return {
      name,
      closed: this.#closed,
      facts: machine?.facts ?? null,
      held: this.#attempts.held,
      quarantined: machine?.quarantined ?? {},
    }
  }

  /** The machine, once it was probed. */
  get machine(): ManagedMachine | undefined {
    return this.#machine
  }

  /** Takes an attempt that was just placed here. */
  take(live: LiveAttempt): void {
    this.#attempts.take(live)
  }

  /** Carries out a wish about one of its attempts. False when the job has none here. */
  cancel(wish: Wish): boolean {
    return this.#attempts.cancel(wish)
  }

  /** Looks after the machine until the leadership is over. */
  async run(): Promise<void> {
    const { over } = this.#desk
    for (let failures = 0; !over.aborted;) {
      try {
        const machine = await this.#reach()
        const remover = new Remover(this.#desk, machine)
        await this.#adopt(machine, remover)
        failures = 0
        await this.#attend(machine, remover).finally(() => remover.flush())
      } catch (error) {
        if (over.aborted) return
        if (isMusterError(error, 'SCHEDULER_SUPERSEDED')) return this.#desk.superseded()
        await this.#unreachable(error, failures++)
      }
    }
  }

  async #reach(): Promise<ManagedMachine> {
    const { store, over } = this.#desk
    const reached = this.#open()
    const probe = await reached.launcher.probe(over)
    const known = (await store.machines()).find((machine) => machine.name === this.name)
    this.#machine = new ManagedMachine(this.#desk, reached, probe, known)
    await this.#machine.save(null)
    return this.#machine
  }

  /** Raises the fence on the machine, then asks what is there; only afterwards may something be placed. */
  async #adopt(machine: ManagedMachine, remover: Remover): Promise<void> {
    const { store, epoch, over, logger, wake } = this.#desk
    const found = await machine.launcher.list(store.recordId, epoch, over)
    await this.#attempts.inspect(machine, 'open')
    for (const { key } of found.filter(({ key }) => !this.#attempts.has(nameOf(key)))) {
      if (await this.#isDone(key)) remover.add(key)
      else
        logger.warn(
          { machine: this.name, attempt: nameOf(key) },
          'an attempt on the machine is not in the record; left alone',
        )
    }
    this.#closed = machine.unusable
    wake()
  }

  /** Whether the record is through with an attempt: a leader died before it removed what was left of it. */
  async #isDone(key: AttemptKey): Promise<boolean> {
    const { store } = this.#desk
    if (key.token === '' || !(await store.get(key.jobId))) return false
    const attempts = await store.attempts(key.jobId)
    return attempts.some((a) => a.number === key.attempt && a.endedAt !== null && !a.notConfirmedGone)
  }

  /** The main path: do what is due, look, rest until something calls. */
  async #attend(machine: ManagedMachine, remover: Remover): Promise<void> {
    const { over, clock, tuning, tasks } = this.#desk
    const isDue = daily(this.#desk)
    const forget = machine.launcher.onHint((attempt) => {
      this.#attempts.hint(attempt && nameOf(attempt))
    })
    try {
      for (let lookedAt = -Infinity; !over.aborted;) {
        const all = clock.monotonic() - lookedAt >= tuning.inspectMs
        if (all) lookedAt = clock.monotonic()
        this.#attempts.step(machine, remover)
        await this.#attempts.inspect(machine, all ? 'running' : 'hinted')
        this.#attempts.step(machine, remover)
        await machine.lookForStrangers()
        if (isDue()) tasks.run(() => tidy(this.#desk, machine))
        await this.#bell.heard(clock, tuning.inspectMs, over)
      }
    } finally {
      forget()
    }
  }

  /** The machine does not answer: jobs stay as they are, say since when, and end only where they declared it. */
  async #unreachable(error: unknown, failures: number): Promise<void> {
    const { clock, over, tuning, logger, wake } = this.#desk
    logger.warn({ err: error, machine: this.name }, 'the machine does not answer')
    this.#closed = `does not answer: ${error instanceof Error ? error.message : String(error)}`
    if (failures > 0) {
      await this.#machine?.save(this.#closed)
      await this.#attempts.unconfirmed(this.name)
      wake()
    }
    const pause = Math.min(tuning.backoffMs * 2 ** Math.min(failures, 10), tuning.backoffMaxMs)
    await clock.sleep(pause, { signal: over, unref: true }).catch(() => undefined)
  }
}
