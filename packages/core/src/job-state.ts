/**
 * The life of a job, as one table. Guards, the SQL CHECK and trigger, docs/job-states.md and the tests derive from it:
 * a transition that is not here does not exist anywhere. To change the life of a job, change this table and nothing else.
 */

/** The states of a job. The position in this array is the number stored in SQL: append, never reorder. */
export const JOB_STATES = ['pending', 'queued', 'scheduled', 'running', 'completed', 'failed', 'cancelled'] as const
/** A state of a job. */
export type JobState = (typeof JOB_STATES)[number]

/** States that only `restart` leaves. */
export const TERMINAL_STATES = ['completed', 'failed', 'cancelled'] as const satisfies readonly JobState[]
/** States in which an attempt is open. */
export const LIVE_STATES = ['scheduled', 'running'] as const satisfies readonly JobState[]
/** States in which a job waits and no machine is involved. */
export const WAITING_STATES = ['pending', 'queued'] as const satisfies readonly JobState[]

/** The events that move a job. */
export const JOB_EVENTS = [
  'submit',
  'ready',
  'place',
  'release',
  'start',
  'succeed',
  'retry',
  'fail',
  'cancel',
  'restart',
] as const
/** An event that moves a job. */
export type JobEvent = (typeof JOB_EVENTS)[number]

interface Transition {
  readonly from: readonly (JobState | null)[]
  readonly event: JobEvent
  readonly to: JobState
  readonly when: string
}

/** The table. `null` stands for "no job yet". */
export const TRANSITIONS: readonly Transition[] = [
  { from: [null], event: 'submit', to: 'pending', when: 'validated and durable' },
  {
    from: ['pending'],
    event: 'ready',
    to: 'queued',
    when: 'eligible: delay over, dependencies met; written first, then the wake-up is sent',
  },
  {
    from: ['queued'],
    event: 'place',
    to: 'scheduled',
    when: 'machine and GPUs chosen, attempt and token opened, before anything is sent to the machine',
  },
  {
    from: ['scheduled'],
    event: 'release',
    to: 'queued',
    when: 'nothing was sent, or the machine confirmed that nothing started; counts as no failure',
  },
  { from: ['scheduled'], event: 'start', to: 'running', when: 'the machine confirmed the start' },
  { from: ['scheduled', 'running'], event: 'succeed', to: 'completed', when: "the machine's exit record says so" },
  {
    from: ['scheduled', 'running'],
    event: 'retry',
    to: 'pending',
    when: 'the attempt ended and the retry rule allows another; not before runAt',
  },
  {
    from: ['pending', 'queued'],
    event: 'fail',
    to: 'failed',
    when: 'job reason: expired, dependency-failed, unplaceable, rejected',
  },
  { from: ['scheduled', 'running'], event: 'fail', to: 'failed', when: 'attempt reason, and no retry left' },
  { from: ['pending', 'queued'], event: 'cancel', to: 'cancelled', when: 'at once' },
  {
    from: ['scheduled', 'running'],
    event: 'cancel',
    to: 'cancelled',
    when: 'after the machine confirmed that nothing is left',
  },
  {
    from: ['completed', 'failed', 'cancelled'],
    event: 'restart',
    to: 'pending',
    when: 'same id, next attempt, history kept, failures 0',
  },
]

/** The state that `event` leads to from `from`, or undefined where the table has no such row. */
export function nextState(from: JobState | null, event: JobEvent): JobState | undefined {
  return TRANSITIONS.find((row) => row.event === event && row.from.includes(from))?.to
}

/** All pairs of states that some event connects, without the birth of a job: for the SQL trigger and the tests. */
export function statePairs(): readonly (readonly [JobState, JobState])[] {
  const pairs = TRANSITIONS.flatMap((row) =>
    row.from.filter((from) => from !== null).map((from) => [from, row.to] as const),
  )
  return pairs.filter(([from, to], index) => pairs.findIndex(([f, t]) => f === from && t === to) === index)
}

/** The events of the shortest way from one state to another (empty when equal), or undefined where there is none. */
export function shortestPath(from: JobState, to: JobState): readonly JobEvent[] | undefined {
  const seen = new Set<JobState>([from])
  let front: { state: JobState; path: JobEvent[] }[] = [{ state: from, path: [] }]
  while (front.length > 0) {
    const found = front.find((node) => node.state === to)
    if (found) return found.path
    front = front.flatMap(({ state, path }) =>
      steps(state)
        .filter((step) => !seen.has(step.to) && seen.add(step.to))
        .map((step) => ({ state: step.to, path: [...path, step.event] })),
    )
  }
  return undefined
}

function steps(from: JobState): { event: JobEvent; to: JobState }[] {
  return TRANSITIONS.filter((row) => row.from.includes(from)).map(({ event, to }) => ({ event, to }))
}

/** Whether only a restart leaves this state. */
export function isTerminal(state: JobState): state is (typeof TERMINAL_STATES)[number] {
  return (TERMINAL_STATES as readonly JobState[]).includes(state)
}

/** Whether an attempt is open in this state. */
export function isLive(state: JobState): state is (typeof LIVE_STATES)[number] {
  return (LIVE_STATES as readonly JobState[]).includes(state)
}

/** Why an attempt ended, `succeeded` aside. Stored as text. */
export const ATTEMPT_REASONS = [
  'launch-failed',
  'machine-lost',
  'preempted',
  'exit',
  'signal',
  'oom',
  'timeout',
  'no-progress',
  'setup-failed',
  'policy',
  'cancelled',
  'released',
] as const
/** Why an attempt ended other than by success. */
export type AttemptReason = (typeof ATTEMPT_REASONS)[number]
/** How an attempt ended. */
export type AttemptOutcome = 'succeeded' | AttemptReason

/** Why a job failed without an attempt. */
export const JOB_REASONS = ['expired', 'dependency-failed', 'unplaceable', 'rejected'] as const
/** Why a job failed without an attempt. */
export type JobReason = (typeof JOB_REASONS)[number]
