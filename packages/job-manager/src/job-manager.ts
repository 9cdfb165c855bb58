/**
 * JobManager: the record as people use it, with a cluster or alone. It only writes the record; a leader, where there is one, acts
 * on it. Jobs that it registers without a cluster's id are external: whoever registered one reports its status.
 */
import {
  ATTEMPT_REASONS,
  isJobId,
  JOB_REASONS,
  JOB_STATES,
  jobSpec,
  MusterError,
  parseWith,
  systemIds,
  type Closable,
  type Ids,
  type JobDefinitionInput,
  type JobEventRecord,
  type JobState,
  type SubmitOptions,
} from '@muster/core'
import { userInfo } from 'node:os'
import { z } from 'zod'
import { openRecord, type StoreOptions } from './open-store.js'
import { jobRecord } from './records.js'
import type { SqlDriver } from './sql/driver.js'
import { hexOf } from './sql/rows.js'
import { insertJob } from './store-jobs.js'
import type { JobStore } from './store.js'
import type { AttemptRecord, JobPage, JobRecord, QueueEvent, QueuePause } from './types.js'

const text = z.string().min(1)
/** zod drops a member of this name without a word, and a filter that loses a condition lies. */
const labelsSchema = z.preprocess(
  (labels, context) => {
    if (typeof labels === 'object' && labels !== null && Object.hasOwn(labels, '__proto__'))
      context.addIssue({ code: 'custom', message: 'a label cannot be named __proto__' })
    return labels
  },
  z.record(z.string(), z.string()),
)
const filterSchema = z.strictObject({
  state: z.union([z.enum(JOB_STATES), z.array(z.enum(JOB_STATES))]).optional(),
  worker: text.optional(),
  queue: text.optional(),
  owner: text.optional(),
  machine: text.optional(),
  labels: labelsSchema.optional(),
  /** Why it ended, or why its last attempt did. */
  outcome: z.enum([...ATTEMPT_REASONS, ...JOB_REASONS]).optional(),
  /** Epoch milliseconds, exclusive. */
  createdAfter: z.number().optional(),
  createdBefore: z.number().optional(),
})
const pageSchema = z.strictObject({ limit: z.int().min(1).max(1_000).default(100), after: z.string().optional() })
const resultsSchema = z.strictObject({
  /** What it produced: kept as the job's result. */
  output: z.json().optional(),
  /** Why it failed; `exit` unless given. */
  reason: z.enum([...ATTEMPT_REASONS, ...JOB_REASONS]).optional(),
  exitCode: z.int().optional(),
  signal: z.string().optional(),
  /** A line for the history. */
  message: z.string().optional(),
})

/** Which jobs to list; all given conditions must hold. An unknown name is an error. */
export type ListFilter = z.input<typeof filterSchema>
/** What is known of an external job's end. */
export type StatusResults = z.input<typeof resultsSchema>
/** A job to register: its definition and any options of a submit, in one object. */
export type RegisteredJob = JobDefinitionInput & SubmitOptions

/** Options of {@link openJobManager}. */
export interface JobManagerOptions extends StoreOptions {
  /** `sqlite:PATH` or a path; the directory must exist. */
  readonly store: string
  /** Who does what is done here; the user's name by default. */
  readonly user?: string
}

/** Opens the record for people. Throws as {@link openStore} does. */
export async function openJobManager(options: JobManagerOptions): Promise<JobManager> {
  const { store: location, user = userInfo().username, ...rest } = options
  const { store, driver } = await openRecord(location, rest)
  return new JobManager({ store, driver, user, ids: options.ids ?? systemIds })
}

/** The record of jobs. Close it, or declare it with `await using`. An idle one keeps no process alive. */
export class JobManager implements Closable {
  /** The contract that a scheduler uses. */
  readonly store: JobStore
  readonly #driver: SqlDriver
  readonly #user: string
  readonly #ids: Ids

  /** Made by {@link openJobManager}. */
  constructor(parts: {
    readonly store: JobStore
    readonly driver: SqlDriver
    readonly user: string
    readonly ids: Ids
  }) {
    this.store = parts.store
    this.#driver = parts.driver
    this.#user = parts.user
    this.#ids = parts.ids
  }

  /**
   * Gives a job a name of your own. With `clusterJobId` the name becomes a second name of that job; without, an external job is
   * recorded, which no leader touches. The same call again changes nothing. Throws NAME_CONFLICT, KEY_CONFLICT, JOB_NOT_FOUND.
   */
  async registerJob(id: string, definition: RegisteredJob, clusterJobId?: string): Promise<JobRecord> {
    const name = checkedName(id)
    const { worker, input, secrets, ...options } = definition
    parseWith(labelsSchema.optional(), options.labels, 'labels')
    const spec = jobSpec({ worker, input, ...(secrets && { secrets }) }, options)
    if (clusterJobId !== undefined) {
      const job = await this.#get(clusterJobId)
      return jobRecord(await this.#driver.transaction('alias', name, hexOf(job.id)))
    }
    const owner = spec.owner ?? this.#user
    const job = { id: this.#ids.next(), spec, owner, payload: spec.input, actor: this.#actor, external: true }
    return (await insertJob(this.#driver, job, name)).job
  }

  /**
   * Reports the status of an external job: the record walks the shortest way of the state table in one write. The same status
   * again changes nothing. Throws MANAGED_BY_CLUSTER for a cluster's job, ILLEGAL_TRANSITION where only a restart leads on.
   */
  async updateJobStatus(id: string, status: JobState, results: StatusResults = {}): Promise<JobRecord> {
    const state = parseWith(z.enum(JOB_STATES), status, 'status')
    const { output, reason, exitCode, signal, message } = parseWith(resultsSchema, results, 'results')
    const answer = await this.#driver.transaction(
      'setStatus',
      id,
      state,
      this.#ids.token(),
      this.#actor,
      reason ?? null,
      exitCode ?? null,
      signal ?? null,
      output === undefined ? null : JSON.stringify({ value: output }),
      message ?? null,
    )
    return jobRecord(answer)
  }

  /** A page of jobs, newest first; `next` of a page is `after` of the following one. Throws INVALID_ARGUMENT naming the field. */
  async listJobs(filter: ListFilter = {}, page: { limit?: number; after?: string } = {}): Promise<JobPage> {
    const { limit, after } = parseWith(pageSchema, page, 'page')
    const given = Object.entries(parseWith(filterSchema, filter, 'filter')).filter(([, value]) => value !== undefined)
    return this.store.list(Object.fromEntries(given), { limit, ...(after !== undefined && { after }) })
  }

  /** By id or second name; undefined where the record holds none. */
  getJob(id: string): Promise<JobRecord | undefined> {
    return this.store.get(id)
  }

  /** Everything that happened to a job, in order. Throws JOB_NOT_FOUND. */
  history(id: string): Promise<readonly JobEventRecord[]> {
    return this.store.history(id)
  }

  /** Every placement of a job, in order. Throws JOB_NOT_FOUND. */
  attempts(id: string): Promise<readonly AttemptRecord[]> {
    return this.store.attempts(id)
  }

  /**
   * Every event from now on (or after a position), of one job or all, of some actions or all, from any process, without a gap. Abort
   * `signal` to end it.
   */
  watch(options: Parameters<JobStore['watch']>[0] = {}): AsyncIterable<JobEventRecord> {
    return this.store.watch(options)
  }

  /** Runs an ended job again, under the same id. Throws ILLEGAL_TRANSITION, ATTEMPT_UNCONFIRMED unless forced. */
  restartJob(id: string, options: { readonly reason?: string; readonly force?: boolean } = {}): Promise<JobRecord> {
    return this.store.restart(id, this.#actor, options)
  }

  /**
   * Pauses a queue of jobs, or resumes it: no job of a paused queue is placed, by whatever leader and whatever broker is configured;
   * what runs goes on. Holds from the commit on. False where it was so already. Throws INVALID_ARGUMENT.
   */
  setQueuePaused(queue: string, paused: boolean, by: string = this.#actor): Promise<boolean> {
    return this.store.setQueuePaused(queue, paused, by)
  }

  /** The paused queues of jobs by name, with who paused them when. */
  pausedQueues(): Promise<ReadonlyMap<string, QueuePause>> {
    return this.store.pausedQueues()
  }

  /** Who paused and resumed a queue of jobs, oldest first; the last thousand. */
  queueHistory(queue: string): Promise<readonly QueueEvent[]> {
    return this.store.queueHistory(queue)
  }

  async close(): Promise<void> {
    await this.store.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }

  async #get(id: string): Promise<JobRecord> {
    const job = await this.store.get(id)
    if (job) return job
    throw new MusterError('JOB_NOT_FOUND', `no job ${JSON.stringify(id)} in the record`, { details: { id } })
  }

  get #actor(): string {
    return `user:${this.#user}`
  }
}

function checkedName(name: string): string {
  if (name !== '' && name.length <= 500 && !isJobId(name)) return name
  throw new MusterError('INVALID_ARGUMENT', 'id: expected a name of at most 500 characters that is no job id itself')
}
