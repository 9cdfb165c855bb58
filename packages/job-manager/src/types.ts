/**
 * What the record holds and what may be done to it: the face that a cluster schedules on. People use JobManager.
 *
 * Every change is one conditional write that names what it expects; a refused one changes nothing and throws
 * JOB_STATE_CONFLICT (who won is in `details`), ATTEMPT_SUPERSEDED (another attempt's token: stored as an event) or
 * SCHEDULER_SUPERSEDED (an old epoch). Every promise of a change resolves after commit and sync (P1).
 */
import type {
  Action,
  AttemptOutcome,
  AttemptReason,
  Closable,
  ConditionPatch,
  Conditions,
  EventData,
  JobEventRecord,
  JobReason,
  JobSpec,
  JobState,
  JsonValue,
} from '@muster/core'

/** A job as recorded. Times are epoch milliseconds of the store's host. */
export interface JobRecord {
  readonly id: string
  readonly state: JobState
  /** Why it is failed or cancelled, or why its last attempt ended; null while nothing ended. */
  readonly reason: AttemptReason | JobReason | null
  /** The number of the latest attempt; 0 before the first. */
  readonly attempt: number
  readonly failures: number
  readonly priority: number
  readonly queue: string
  readonly owner: string
  readonly labels: Readonly<Record<string, string>>
  readonly spec: JobSpec
  /** What the worker's resolve returned. */
  readonly payload: JsonValue
  /** Registered without a cluster's id: never placed or timed out by a leader. */
  readonly external: boolean
  readonly conditions: Conditions
  /** Of the latest attempt, null where there is none yet. */
  readonly machine: string | null
  readonly exitCode: number | null
  readonly signal: string | null
  readonly progress: { readonly fraction: number; readonly message: string } | null
  /** The result, or where it lies: inline up to 64 KiB, else a file of `files:` by digest and host. */
  readonly result: StoredResult | null
  readonly createdAt: number
  readonly updatedAt: number
  /** Not before then (backoff). */
  readonly runAt: number | null
  readonly startedAt: number | null
  readonly endedAt: number | null
}

/** A result inline, as a file, or the note of why there is none. */
export type StoredResult =
  | { readonly value: JsonValue }
  | { readonly file: { readonly digest: string; readonly bytes: number; readonly host: string } }
  | { readonly note: { readonly code: string; readonly message: string } }

/** One attempt as recorded. Its token is only in {@link LiveAttempt}. */
export interface AttemptRecord {
  readonly jobId: string
  readonly number: number
  readonly machine: string
  readonly gpus: readonly string[]
  /** The rung of the ladder by which its processes are found; null before its start is confirmed. */
  readonly tree: string | null
  readonly placedAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly outcome: AttemptOutcome | null
  readonly exitCode: number | null
  readonly signal: string | null
  /** What explains the outcome: the launcher's message, the last log lines, evidence. */
  readonly detail: EventData
  /** Ended by policy while the machine could not be asked; killed first at the next contact. */
  readonly notConfirmedGone: boolean
  /** Where its collected log and artifacts lie, once they are here. */
  readonly files: { readonly host: string; readonly directory: string } | null
}

/** An attempt that may still exist on a machine, with its token: what a leader adopts. */
export interface LiveAttempt {
  readonly job: JobRecord
  readonly attempt: AttemptRecord
  readonly token: string
}

/** A job to insert: submit in one write; `queued` at once, since nothing holds it. */
export interface NewJob {
  readonly id: string
  readonly spec: JobSpec
  readonly owner: string
  readonly payload: JsonValue
  readonly actor: string
  readonly external?: boolean
}

/** What the scheduler reads of a waiting job. */
export interface WaitingJob {
  readonly id: string
  readonly worker: string
  readonly queue: string
  readonly priority: number
  readonly createdAt: number
  readonly resources: JobSpec['resources']
  readonly machine?: string
  readonly machineLabels: Readonly<Record<string, string>>
  readonly secrets: JobSpec['secrets']
  /** Attempts already placed. */
  readonly attempt: number
}

/** The end of an attempt as its machine (or a policy) reports it. */
export interface AttemptEnd {
  readonly outcome: AttemptOutcome
  readonly exitCode?: number | null
  readonly signal?: string | null
  readonly result?: StoredResult
  readonly detail?: EventData
  /** When it started and ended on the machine, by our clock, where known. */
  readonly startedAt?: number
  readonly endedAt?: number
  readonly tree?: string
  /** Something is left to collect from the machine: sets the condition. */
  readonly collecting?: boolean
  /** Ended by policy without the machine's word. */
  readonly notConfirmedGone?: boolean
}

/** Proof of one attempt. */
export interface AttemptRef {
  readonly jobId: string
  readonly attempt: number
  readonly token: string
}

/** Which jobs a list shows. All given conditions must hold. */
export interface JobFilter {
  readonly state?: JobState | readonly JobState[]
  readonly worker?: string
  readonly queue?: string
  readonly owner?: string
  readonly machine?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly outcome?: AttemptReason | JobReason
  readonly createdAfter?: number
  readonly createdBefore?: number
}

/** A page of jobs, newest first. */
export interface JobPage {
  readonly jobs: readonly JobRecord[]
  /** Pass it to read on; absent on the last page. */
  readonly next?: string
}

/** A durable request that only a leader can carry out. */
export interface Wish {
  readonly seq: number
  readonly jobId: string
  readonly kind: 'cancel'
  readonly by: string
  readonly reason: string
  readonly at: number
}

/** A machine as the leader sees it; written by the leader, read by all. */
export interface MachineRecord {
  readonly name: string
  readonly state: 'ready' | 'suspect' | 'unreachable' | 'draining' | 'drained'
  /** Why it is not ready, or what it lacks. */
  readonly reason: string | null
  /** The last probe, as the launcher gave it. */
  readonly probe: JsonValue
  /** GPUs that may not be handed out, by UUID, with the reason. */
  readonly quarantined: Readonly<
    Record<string, { readonly reason: string; readonly jobId: string | null; readonly bootId: string | null }>
  >
  readonly updatedAt: number
}

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
  /** What is queued, by priority then age, skipping `exclude`d shapes; at most `limit` (10,000). */
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
  /** queued -> scheduled; opens the next attempt and its token. */
  place(
    epoch: number,
    jobId: string,
    where: { readonly machine: string; readonly gpus: readonly string[]; readonly actor: string },
  ): Promise<LiveAttempt>
  release(epoch: number, ref: AttemptRef, reason: string, actor: string): Promise<JobRecord>
  start(
    epoch: number,
    ref: AttemptRef,
    facts: { readonly startedAt?: number; readonly tree: string; readonly actor: string },
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
  /** The attempt is confirmed gone from its machine after all. */
  confirmGone(epoch: number, ref: AttemptRef, actor: string): Promise<void>
  /** Attempts that may exist on machines: open ones, those not confirmed gone, those still collecting. Optionally of one machine or job. */
  live(options?: { readonly machine?: string; readonly jobId?: string }): Promise<readonly LiveAttempt[]>
  wishes(): Promise<readonly Wish[]>
  machines(): Promise<readonly MachineRecord[]>
  saveMachine(epoch: number, machine: Omit<MachineRecord, 'updatedAt'>): Promise<void>
  /** Lifts a quarantine; anybody may, it is a person's decision. Without `gpu`: all of that machine. Gives the UUIDs freed. */
  freeGpus(machine: string, gpu: string | undefined, actor: string): Promise<readonly string[]>

  // ---- the lease
  /**
   * Stands for the lease. A `caretaker` yields at once to a full candidate: it stands only while nobody leads, and its
   * leadership is lost as soon as a full candidate stands (which says so in the record).
   */
  stand(holder: string, options?: { readonly caretaker?: boolean }): Candidacy
  leader(): Promise<LeaderInfo | undefined>

  // ---- changes
  /**
   * Every event after `after` (default: from now), of one job or all, in order, without a gap, from any process.
   * Ends when aborted (without an error) or when the store closes.
   */
  watch(options?: {
    readonly after?: number
    readonly jobId?: string
    readonly signal?: AbortSignal
  }): AsyncIterable<JobEventRecord>
  /** Calls back (with nothing) soon after any process, this one included, changed the record; at most every 20 ms. Returns the removal. */
  onChange(listener: () => void): () => void
}
