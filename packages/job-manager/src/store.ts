/**
 * What may be done to the record: the face that a cluster schedules on. People use JobManager.
 *
 * Every change is one conditional write that names what it expects; a refused one changes nothing and throws
 * JOB_STATE_CONFLICT (who won is in `details`), ATTEMPT_SUPERSEDED (another attempt's token: stored as an event) or
 * SCHEDULER_SUPERSEDED (an old epoch). Every promise of a change resolves after commit and sync (P1).
 */
import type { Action, Closable, ConditionPatch, EventData, JobEventRecord, JobSpec } from '@muster/core'
import type {
  AttemptEnd,
  AttemptRecord,
  AttemptRef,
  JobFilter,
  JobPage,
  JobRecord,
  LiveAttempt,
  Drain,
  MachineRecord,
  QueueEvent,
  QueuePause,
  SeenMachine,
  NewJob,
  WaitingJob,
  Wish,
} from './types.js'

/** Who leads a record. */
export interface LeaderInfo {
  /** Process and host of the holder, for people. */
  readonly holder: string
  /** It adopts and records, and places nothing. */
  readonly caretaker: boolean
  readonly epoch: number
}

/** A leader's standing: `epoch` guards its writes; `lost` fires when another took over or it was given back. */
export interface Leadership {
  readonly epoch: number
  readonly lost: AbortSignal
}

/** Standing for a record's lease. */
export interface Candidacy extends Closable {
  /** Resolves with the leadership when it is won; rejects when aborted or closed. May be called again after it was lost. */
  won(signal?: AbortSignal): Promise<Leadership>
}

/** The record, as a scheduler uses it. One per file and process; see JobManager for people. */
export interface JobStore extends Closable {
  /** Names the record: `sqlite:/path`. */
  readonly location: string
  /** A uuid that never changes, also when the record's directory moves. */
  readonly recordId: string

  // ---- jobs, by anybody
  insert(job: NewJob): Promise<{ readonly job: JobRecord; readonly created: boolean }>
  /** The job that a submit of this spec would find by its key (none: undefined). Throws KEY_CONFLICT as `insert` does. */
  findByKey(spec: JobSpec): Promise<JobRecord | undefined>
  /** By id or second name. */
  get(id: string): Promise<JobRecord | undefined>
  list(filter: JobFilter, page: { readonly limit: number; readonly after?: string }): Promise<JobPage>
  attempts(id: string): Promise<readonly AttemptRecord[]>
  history(id: string): Promise<readonly JobEventRecord[]>
  /** pending or queued: cancelled at once. scheduled or running: one wish, whoever asks how often. Terminal: unchanged. Says which. */
  cancel(
    id: string,
    by: string,
    reason: string,
  ): Promise<{ readonly outcome: 'cancelled' | 'requested' | 'ended'; readonly job: JobRecord }>
  restart(id: string, by: string, options?: { readonly reason?: string; readonly force?: boolean }): Promise<JobRecord>
  /** Appends an event that changes no state. */
  note(id: string, action: Action, actor: string, data: EventData): Promise<void>

  // ---- scheduling, fenced by epoch
  /** What is queued, by priority then age, but for paused queues and `exclude`d shapes; at most `limit` (10,000). */
  waiting(options: {
    readonly limit: number
    readonly excludeShapes?: readonly string[]
  }): Promise<readonly WaitingJob[]>
  /** pending -> queued of what is due; gives their ids and queues (for wake-ups) and when the next one is due. */
  promoteDue(
    epoch: number,
    limit: number,
  ): Promise<{
    readonly ready: readonly { readonly id: string; readonly queue: string }[]
    readonly nextDueAt: number | null
  }>
  /** queued -> scheduled; opens the next attempt and its token. Throws MACHINE_DRAINED and QUEUE_PAUSED as soon as that is recorded. */
  place(
    epoch: number,
    jobId: string,
    where: { readonly machine: string; readonly gpus: readonly string[]; readonly actor: string },
  ): Promise<LiveAttempt>
  release(epoch: number, ref: AttemptRef, reason: string, actor: string): Promise<JobRecord>
  start(
    epoch: number,
    ref: AttemptRef,
    facts: { readonly startedAt?: number; readonly skewMs?: number; readonly tree: string; readonly actor: string },
  ): Promise<JobRecord>
  /** Ends the attempt; the retry rule decides between completed, pending again, failed and cancelled. A wish suppresses retries. */
  finish(epoch: number, ref: AttemptRef, end: AttemptEnd, actor: string): Promise<JobRecord>
  /** Changes conditions of the current attempt's job, with an event where one belongs (unconfirmed, confirmed, stuck, collected). */
  setConditions(
    epoch: number,
    ref: AttemptRef,
    patch: ConditionPatch,
    actor: string,
    data?: EventData,
  ): Promise<JobRecord>
  setProgress(
    epoch: number,
    ref: AttemptRef,
    progress: { readonly fraction: number; readonly message: string },
  ): Promise<void>
  /** Collected: clears `collecting` and says where the files are. */
  collected(
    epoch: number,
    ref: AttemptRef,
    files: { readonly host: string; readonly directory: string } | null,
    actor: string,
    data?: EventData,
  ): Promise<JobRecord>
  /** The attempt is confirmed gone from its machine after all; what the machine reports of its end is kept as an event (`report-refused`). */
  confirmGone(epoch: number, ref: AttemptRef, actor: string, report?: EventData): Promise<void>
  /** Attempts that may exist on machines: open ones, those not confirmed gone, those still collecting. Optionally of one machine or job. */
  live(options?: { readonly machine?: string; readonly jobId?: string }): Promise<readonly LiveAttempt[]>
  wishes(): Promise<readonly Wish[]>
  machines(): Promise<readonly MachineRecord[]>
  saveMachine(epoch: number, machine: SeenMachine): Promise<void>
  /** Lifts a quarantine; anybody may, it is a person's decision. Without `gpu`: all of that machine. Gives the UUIDs freed. */
  freeGpus(machine: string, gpu: string | undefined, actor: string): Promise<readonly string[]>
  /** Takes a machine out of use until `resume`, whoever leads: nothing is placed there from then on. False where it was drained already. */
  drain(machine: string, by: string, reason: string): Promise<boolean>
  /** Takes it into use again. False where it was not drained. */
  resume(machine: string): Promise<boolean>
  /** What is drained, by machine. */
  drains(): Promise<ReadonlyMap<string, Drain>>
  /**
   * Pauses a queue of jobs (`resume` with `paused: false`), whoever leads and whatever broker is configured: from the commit on
   * no job of it is placed, what was placed goes on. The queue needs no job yet. False where it was so already.
   */
  setQueuePaused(queue: string, paused: boolean, by: string): Promise<boolean>
  /** The paused queues of jobs, by name. */
  pausedQueues(): Promise<ReadonlyMap<string, QueuePause>>
  /** Who paused and resumed a queue of jobs, oldest first; the last thousand. */
  queueHistory(queue: string): Promise<readonly QueueEvent[]>

  // ---- the lease
  /**
   * Stands for the lease. A `caretaker` yields at once to a full candidate: it stands only while nobody leads, and its
   * leadership is lost as soon as a full candidate stands (which says so in the record).
   */
  stand(holder: string, options?: { readonly caretaker?: boolean }): Candidacy
  leader(): Promise<LeaderInfo | undefined>

  // ---- changes
  /**
   * Every event after `after` (default: from now), of one job or all, of some actions or all, in order, without a gap, from any process.
   * Ends when aborted (without an error) or when the store closes.
   */
  watch(options?: {
    readonly after?: number
    readonly jobId?: string
    readonly actions?: readonly Action[]
    readonly signal?: AbortSignal
  }): AsyncIterable<JobEventRecord>
  /** Calls back (with nothing) soon after any process, this one included, changed the record; at most every 20 ms. Returns the removal. */
  onChange(listener: () => void): () => void
}
