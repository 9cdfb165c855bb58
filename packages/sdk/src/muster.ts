/**
 * What open() gives: submit and re-open jobs, and the three classes behind them. It owns what it opened and closes that, in
 * the order in which it is used; it installs no signal handler and never ends the process.
 */
import {
  MusterError,
  Recent,
  closeOnce,
  type Clock,
  type Closable,
  type JobDefinitionInput,
  type SubmitOptions,
} from '@muster/core'
import type { Cluster, JobHandle, SubmitContext } from '@muster/cluster'
import type { JobManager, JobStore, LeaderInfo } from '@muster/job-manager'
import type { Orchestrator } from '@muster/orchestrator'
import { join } from 'node:path'

/** What a muster is made of. */
export interface MusterParts {
  readonly store: JobStore
  readonly jobs: JobManager
  readonly orchestrator: Orchestrator
  readonly cluster: Cluster
  readonly filesDirectory: string
  readonly schedules: boolean
  readonly clock: Clock
  readonly warn: (warning: MusterError) => void
}

/** How old may be what a warning is based on. */
const RECENT_MS = 200
const WARN_EVERY_MS = 1_000

/** An open record with what runs its jobs. Close it, or declare it with `await using`. */
export class Muster implements Closable {
  readonly cluster: Cluster
  readonly orchestrator: Orchestrator
  readonly jobs: JobManager
  /** Which record this is: `sqlite:/home/ada/.local/state/muster/jobs.db`. */
  readonly location: string
  readonly #parts: MusterParts
  readonly #leader: Recent<LeaderInfo | undefined>
  #warned = -Infinity

  /** Use {@link open}. */
  constructor(parts: MusterParts) {
    this.#parts = parts
    this.cluster = parts.cluster
    this.orchestrator = parts.orchestrator
    this.jobs = parts.jobs
    this.location = parts.store.location
    this.#leader = new Recent(parts.clock, RECENT_MS, () => parts.store.leader())
  }

  /**
   * Records a job durably and gives its handle. With `schedule: false`, warns NOBODY_SCHEDULES when nobody would run it.
   * Throws INVALID_ARGUMENT, UNKNOWN_WORKER, UNKNOWN_MACHINE, UNPLACEABLE, KEY_CONFLICT, what the worker throws (REPO_NOT_FOUND,
   * REF_NOT_FOUND, …), STORE_*.
   */
  async submit(
    definition: JobDefinitionInput,
    options: SubmitOptions = {},
    context: SubmitContext = {},
  ): Promise<JobHandle> {
    // Side by side: who leads is no condition of the submit, only worth a warning after it.
    const [job, scheduled] = await Promise.all([this.cluster.submit(definition, options, context), this.#isScheduled()])
    if (!scheduled) this.#warnNobodySchedules()
    return job
  }

  /** A handle for a job of this record, from any process and any day; by id or second name. Throws JOB_NOT_FOUND. */
  job(id: string): Promise<JobHandle> {
    return this.cluster.job(id)
  }

  /** Where the collected files of a job lie on this host: `ATTEMPT/log` and `ATTEMPT/artifacts` below it, once they are here. */
  filesOf(job: string | JobHandle): string {
    return join(this.#parts.filesDirectory, typeof job === 'string' ? job : job.id)
  }

  /** Warns NOBODY_SCHEDULES where neither this process nor another one schedules the record. */
  async warnIfNobodySchedules(): Promise<void> {
    if (!(await this.#isScheduled())) this.#warnNobodySchedules()
  }

  /** Whether this process or another one schedules; of another one, as it was a moment ago. */
  async #isScheduled(): Promise<boolean> {
    if (this.#parts.schedules) return true
    const leader = await this.#leader.recently()
    return leader !== undefined && !leader.caretaker
  }

  /** At most once a second: one warning speaks for a loop of submits. */
  #warnNobodySchedules(): void {
    const now = this.#parts.clock.monotonic()
    if (now - this.#warned < WARN_EVERY_MS) return
    this.#warned = now
    this.#parts.warn(new MusterError('NOBODY_SCHEDULES', `nobody schedules ${this.location}, so the job waits`))
  }

  /** Gives back the lease and closes all that open() opened. Running jobs go on. */
  readonly close = closeOnce(async () => {
    await this.cluster.close()
    await this.orchestrator.close()
    await this.jobs.close()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
