/**
 * What open() gives: submit and re-open jobs, and the three classes behind them. It owns what it opened and closes that, in
 * the order in which it is used; it installs no signal handler and never ends the process.
 */
import {
  MusterError,
  Recent,
  closeOnce,
  isMusterError,
  type Clock,
  type Closable,
  type JobDefinitionInput,
  type SubmitOptions,
} from '@muster/core'
import type { Cluster, JobHandle, SubmitContext } from '@muster/cluster'
import type { JobManager, JobStore, LeaderInfo } from '@muster/job-manager'
import type { Orchestrator, QueueBackend } from '@muster/orchestrator'
import { join } from 'node:path'

/** What a muster is made of. */
export interface MusterParts {
  readonly store: JobStore
  readonly jobs: JobManager
  readonly backend: QueueBackend
  readonly orchestrator: Orchestrator
  readonly cluster: Cluster
  readonly filesDirectory: string
  readonly schedules: boolean
  readonly clock: Clock
  readonly warn: (warning: MusterError) => void
}

/** What became of a queue that was paused or resumed. */
export interface PausedQueue {
  /** Whether the record said otherwise before. */
  readonly changed: boolean
  /** Whether the broker has a queue of that name, which is now so, too. */
  readonly hasMessages: boolean
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

  /**
   * Pauses a queue: from now on no job of it is placed, whoever leads (the record says so, and keeps saying it whatever becomes of the
   * broker); and no message of it is delivered, where the broker has a queue of that name. What runs, or is held, goes on.
   * Throws INVALID_ARGUMENT, STORE_*, and BACKEND_UNAVAILABLE where the broker could not be asked: the record is written even so.
   */
  pauseQueue(name: string): Promise<PausedQueue> {
    return this.#setPaused(name, true)
  }

  /** Lets a paused queue go on, at once. Throws as `pauseQueue` does. */
  resumeQueue(name: string): Promise<PausedQueue> {
    return this.#setPaused(name, false)
  }

  /** The record first: it holds for every job, and survives the broker. */
  async #setPaused(name: string, paused: boolean): Promise<PausedQueue> {
    const { jobs, orchestrator } = this
    const changed = await jobs.setQueuePaused(name, paused)
    try {
      const hasMessages = (await orchestrator.queues()).includes(name)
      if (hasMessages) await (paused ? orchestrator.pause(name) : orchestrator.resume(name))
      return { changed, hasMessages }
    } catch (error) {
      if (!isMusterError(error, 'BACKEND_UNAVAILABLE')) throw error
      const [done, part] = paused ? ['is paused', 'are still delivered'] : ['goes on', 'are perhaps still held back']
      const text = `jobs of the queue ${name}: it ${done} in the record; messages of that name ${part}: ${error.message}`
      throw new MusterError('BACKEND_UNAVAILABLE', text, {
        cause: error,
        hint: `${error.hint} Then say it once more; messages aside nothing is left to do.`,
      })
    }
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
    await this.#parts.backend.close()
    await this.jobs.close()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
