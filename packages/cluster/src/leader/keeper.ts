/**
 * The keeper of one machine during one leadership: it reaches the machine, adopts what runs there, and from then on attends to its
 * attempts. Nothing is placed on a machine before it was asked what runs there; one that does not answer holds up only itself,
 * and changes no job's state.
 */
import { isMusterError } from '@muster/core'
import type { Drain, LiveAttempt, MachineTrouble, Wish } from '@muster/job-manager'
import type { AttemptKey } from '../launch/launcher.js'
import type { ReachedMachine } from '../registry.js'
import type { MachineView } from '../scheduler/snapshot.js'
import { drainText, troubleText } from '../scheduler/words.js'
import { Attempts } from './attempts.js'
import { Bell } from './bell.js'
import type { Desk } from './desk.js'
import { daily, tidy } from './housekeeping.js'
import { ManagedMachine } from './machine.js'
import { Remover } from './remover.js'
import { saveSilent, troubleOf } from './silence.js'
import { nameOf } from './tracked.js'

/** See the file's head. */
export class Keeper {
  readonly name: string
  readonly #desk: Desk
  readonly #open: () => ReachedMachine
  readonly #bell = new Bell()
  readonly #attempts: Attempts
  #machine: ManagedMachine | undefined
  #adopted = false
  #drain: Drain | null = null
  #trouble: MachineTrouble | null = null
  /** What was last written down of the trouble. */
  #written = ''

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

  /** Why nothing may be placed there, whatever the job. */
  get #closed(): string | null {
    const now = this.#desk.clock.now()
    if (this.#drain) return drainText(this.#drain, now)
    if (this.#trouble) return troubleText(this.#trouble, now)
    return this.#adopted ? (this.#machine?.unusable ?? null) : 'was not asked yet what runs there'
  }

  /** Takes over what somebody decided: nothing is placed there any more, or it may be again. */
  drain(drain: Drain | null): void {
    this.#drain = drain
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
        await this.#attend(machine, remover).finally(() => remover.close())
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
    await this.#machine.save()
    this.#written = ''
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
    this.#adopted = true
    this.#trouble = null
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
      for (let lookedAt = -Infinity, heardAt = clock.monotonic(); !over.aborted;) {
        const all = clock.monotonic() - lookedAt >= tuning.inspectMs
        if (all) lookedAt = clock.monotonic()
        this.#attempts.step(machine, remover)
        const asked = await this.#attempts.inspect(machine, all ? 'running' : 'hinted')
        // An attempt that is being started asks nothing by itself: that its machine is gone must show all the same.
        const silentMs = this.#attempts.some ? tuning.inspectMs : tuning.idleMs
        if (asked) heardAt = clock.monotonic()
        else if (clock.monotonic() - heardAt >= silentMs) {
          await machine.access.run(':', { signal: over })
          heardAt = clock.monotonic()
        }
        this.#attempts.step(machine, remover)
        await machine.lookAgain()
        if (isDue()) tasks.run(() => tidy(this.#desk, machine))
        await this.#bell.heard(clock, tuning.inspectMs, over)
      }
    } finally {
      forget()
    }
  }

  /** The machine does not answer: jobs stay as they are, say since when, and end only where they declared it. */
  async #unreachable(error: unknown, failures: number): Promise<void> {
    const { clock, over, tuning, logger, random, superseded } = this.#desk
    const trouble = troubleOf(error, this.#trouble?.since ?? clock.now())
    logger.warn({ err: error, machine: this.name }, trouble ? 'the machine does not answer' : 'the record failed')
    if (trouble) {
      this.#trouble = trouble
      await this.#tell(trouble, failures > 0).catch((failure: unknown) => {
        if (isMusterError(failure, 'SCHEDULER_SUPERSEDED')) superseded()
        else if (!over.aborted) logger.warn({ err: failure, machine: this.name }, 'its silence was not written down')
      })
    }
    const pause = Math.min(tuning.backoffMs * 2 ** Math.min(failures, 10), tuning.backoffMaxMs)
    await clock.sleep(pause * (0.5 + random()), { signal: over, unref: true }).catch(() => undefined)
  }

  /** The first look that fails makes a machine suspect; after the second one its attempts are unconfirmed. */
  async #tell(trouble: MachineTrouble, confirmed: boolean): Promise<void> {
    const state = confirmed ? 'unreachable' : 'suspect'
    const news = JSON.stringify([state, trouble])
    if (news !== this.#written) await saveSilent(this.#desk, this.name, state, trouble)
    this.#written = news
    if (confirmed) await this.#attempts.unconfirmed(this.name)
    this.#desk.wake()
  }
}
