/** What the record holds: jobs, attempts, wishes, machines. Plain data, as read; {@link JobStore} says how it changes. */
import type {
  AttemptOutcome,
  AttemptReason,
  Conditions,
  EventData,
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
  /** As `shapeOf` gives it: what `waiting` can skip by. */
  readonly shape: string
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
  /** Machine time minus our time when that was read, milliseconds: kept in the event beside the times. */
  readonly skewMs?: number
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

/** A person's decision that nothing more is placed on a machine. */
export interface Drain {
  readonly by: string
  /** What they said; may be empty. */
  readonly reason: string
  readonly at: number
}

/** A person's decision that no job of a queue is placed. */
export interface QueuePause {
  readonly by: string
  readonly at: number
}

/** A pause or a resume of a queue of jobs, as it was decided. */
export interface QueueEvent {
  readonly seq: number
  readonly paused: boolean
  readonly actor: string
  readonly at: number
}

/** Why a machine cannot be reached, as an error of ours says it. */
export interface MachineTrouble {
  readonly code: string
  readonly message: string
  readonly hint: string
  /** Silent since then, epoch milliseconds. */
  readonly since: number
}

/** A machine as a leader writes it down. */
export interface SeenMachine {
  readonly name: string
  /** `suspect`: it did not answer the last look, or lacks what a job needs. `unreachable`: its attempts are unconfirmed. */
  readonly state: 'ready' | 'suspect' | 'unreachable'
  /** Why it is not ready, or what it lacks. */
  readonly reason: string | null
  /** The last probe, as the launcher gave it; `{}` where there was none yet. */
  readonly probe: JsonValue
  /** GPUs that may not be handed out, by UUID, with the reason. */
  readonly quarantined: Readonly<
    Record<string, { readonly reason: string; readonly jobId: string | null; readonly bootId: string | null }>
  >
  /** Null while it answers. */
  readonly trouble: MachineTrouble | null
}

/**
 * A machine as the record has it: what its leader last wrote, and what a person decided. `draining` while attempts of the record
 * may be there, `drained` when none is; one that does not answer while attempts are there stays `suspect` or `unreachable`.
 */
export interface MachineRecord extends Omit<SeenMachine, 'state'> {
  readonly state: SeenMachine['state'] | 'draining' | 'drained'
  /** Null unless it was taken out of use. */
  readonly drain: Drain | null
  readonly updatedAt: number
}
