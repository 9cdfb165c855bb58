/**
 * One attempt in the leader's hands, as a small state machine. The phase says what comes next; `busy` that it is being done.
 * Everything here can be rebuilt from the record and the machine: a leader that dies loses nothing.
 *
 *   launch -> observe -> end -> collect -> (forgotten)      bury: ended by policy, to be killed at the next contact
 */
import type { AssignedJob } from '@muster/core'
import type { AttemptRef, LiveAttempt, Wish } from '@muster/job-manager'
import type { AttemptKey, ExitRecord, RunFacts } from '../launch/launcher.js'
import type { Holding } from '../scheduler/snapshot.js'

/** What comes next for an attempt. */
export type Phase = 'launch' | 'observe' | 'end' | 'collect' | 'bury'

/** What the leader learnt of an attempt's end: the exit record, or why there is none. */
export type Ending =
  ({ readonly kind: 'exit'; readonly exit: ExitRecord } & RunFacts) | { readonly kind: 'lost'; readonly text: string }

/** An attempt in the leader's hands. Mutable, owned by its machine's keeper. */
export interface Tracked {
  readonly ref: AttemptRef
  readonly key: AttemptKey
  live: LiveAttempt
  phase: Phase
  busy: boolean
  /** Monotonic milliseconds: nothing is tried before. */
  notBefore: number
  failures: number
  cancel: Wish | null
  /** Its machine said that something changed: the next look includes it. */
  hinted: boolean
  /** Set with phase `end`. */
  ending: Ending | null
  /** Placed by an earlier leader: if it never reached the machine it is given back, so that its placement counts. */
  readonly adopted: boolean
  /** Aborts the launch under way. */
  launch: AbortController | null
}

/** Takes an attempt into hand, in the phase that the record shows. */
export function track(live: LiveAttempt, adopted: boolean): Tracked {
  const { job, attempt, token } = live
  const key = { jobId: job.id, attempt: attempt.number, token }
  return {
    ref: key,
    key,
    live,
    phase: phaseOf(live),
    busy: false,
    notBefore: 0,
    failures: 0,
    cancel: null,
    hinted: true,
    ending: null,
    adopted,
    launch: null,
  }
}

function phaseOf({ job, attempt }: LiveAttempt): Phase {
  if (attempt.notConfirmedGone) return 'bury'
  if (attempt.endedAt !== null) return 'collect'
  return job.state === 'scheduled' && job.attempt === attempt.number ? 'launch' : 'observe'
}

/** What the attempt holds of its machine; GPUs of a stuck one are in quarantine instead. */
export function holding({ phase, live }: Tracked): Holding {
  if (phase === 'collect') return { cpus: 0, memoryBytes: 0, gpus: [] }
  const { cpus, memoryBytes } = live.job.spec.resources
  return { cpus, memoryBytes, gpus: live.job.conditions.stuck ? [] : live.attempt.gpus }
}

/** The job as its worker sees it. */
export function assigned({ live: { job, attempt } }: Tracked): AssignedJob {
  return { id: job.id, attempt: attempt.number, payload: job.payload, gpus: attempt.gpus }
}

/** The name of an attempt, unique within a record. */
export function nameOf(ref: { readonly jobId: string; readonly attempt: number }): string {
  return `${ref.jobId}.${ref.attempt}`
}
