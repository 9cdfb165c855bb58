/** explain: why a job is where it is, in words, from the record alone, so that any process can answer. */
import { z } from 'zod'
import { isTerminal, type JobState } from '@muster/core'
import type { JobRecord, LeaderInfo, LiveAttempt, MachineRecord, QueuePause, WaitingJob } from '@muster/job-manager'
import { refusals, type Refusal } from './schedule.js'
import { drainText, pauseText, timeText, troubleText } from './words.js'
import { machineFactsSchema, totalHeld, type MachineFacts, type MachineView, type Snapshot } from './snapshot.js'

/** Why a job is where it is. */
export interface Explanation {
  readonly jobId: string
  readonly state: JobState
  readonly sentence: string
  /** Per machine, what stands against it; `machine: null` concerns the cluster. */
  readonly reasons: readonly Refusal[]
  readonly leader: string | null
}

/** Everything an explanation is made from. */
export interface ExplainInput {
  readonly job: JobRecord
  readonly leader: LeaderInfo | undefined
  readonly machines: readonly MachineRecord[]
  readonly live: readonly LiveAttempt[]
  readonly workers: Snapshot['workers']
  /** The pause of its queue, where it is paused. */
  readonly paused?: QueuePause | undefined
  /** Secrets that cannot be read where this runs, when this process leads. */
  readonly unresolved?: string | undefined
  /** Why its last attempt was given back unstarted, where it was. */
  readonly givenBack?: string | undefined
  readonly now: number
}

/** Explains a job. */
export function explainJob(input: ExplainInput): Explanation {
  const { job, leader } = input
  const base = { jobId: job.id, state: job.state, leader: leader?.holder ?? null }
  if (isTerminal(job.state)) return { ...base, sentence: ended(job), reasons: [] }
  if (job.external) return { ...base, sentence: 'registered from outside: no leader of ours runs it', reasons: [] }
  if (job.state !== 'queued') return { ...base, sentence: moving(input), reasons: [] }
  const unled = leader === undefined || leader.caretaker ? [NOBODY_LEADS] : []
  if (input.paused) {
    const reason = pauseText(job.queue, input.paused, input.now)
    return { ...base, sentence: `waits: ${reason}`, reasons: [{ machine: null, reason }, ...unled] }
  }
  if (leader === undefined || leader.caretaker)
    return { ...base, sentence: 'waits: nobody schedules this record', reasons: unled }
  if (input.unresolved !== undefined)
    return { ...base, sentence: `waits: ${input.unresolved}`, reasons: [{ machine: null, reason: input.unresolved }] }
  const wanted = job.spec.machine
  if (wanted !== undefined && !input.machines.some(({ name }) => name === wanted)) {
    const reason = `${leader.holder}, who leads, has not looked at it yet (started before ${wanted} was configured, it never will)`
    return { ...base, sentence: `waits: ${wanted}: ${reason}`, reasons: [{ machine: wanted, reason }] }
  }
  const machines = input.machines.map((machine) => viewOf(machine, input.live, input.now))
  const reasons = refusals(asWaiting(job), { machines, workers: input.workers, leader: leader.holder })
  const fits = machines.some((machine) => !reasons.some((r) => r.machine === null || r.machine === machine.name))
  if (!fits) return { ...base, sentence: `waits: ${summary(reasons)}`, reasons }
  if (input.givenBack === undefined) return { ...base, sentence: 'about to be placed', reasons }
  const reason = `${leader.holder}, who leads, will try again: ${input.givenBack}`
  return { ...base, sentence: `waits: ${reason}`, reasons: [...reasons, { machine: null, reason }] }
}

const NOBODY_LEADS: Refusal = { machine: null, reason: 'nobody schedules: start a controller with: muster up' }

/** A machine as the record knows it, as the scheduler sees it. */
export function viewOf(machine: MachineRecord, live: readonly LiveAttempt[], now: number): MachineView {
  const here = live.filter(
    ({ attempt }) => attempt.machine === machine.name && (attempt.endedAt === null || attempt.notConfirmedGone),
  )
  const held = totalHeld(
    here.map(({ job, attempt }) => ({ ...job.spec.resources, gpus: job.conditions.stuck ? [] : attempt.gpus })),
  )
  const quarantined = Object.fromEntries(
    Object.entries(machine.quarantined).map(([uuid, entry]) => [uuid, entry.reason]),
  )
  return {
    name: machine.name,
    closed: closedBecause(machine, now),
    facts: factsOf(machine),
    held,
    quarantined,
  }
}

function closedBecause({ drain, trouble, state, reason }: MachineRecord, now: number): string | null {
  if (drain) return drainText(drain, now)
  if (trouble) return troubleText(trouble, now)
  return state === 'ready' ? null : (reason ?? state)
}

/** The facts that the leader recorded with a machine's probe, or null where it was never probed. */
export function factsOf(machine: MachineRecord): MachineFacts | null {
  const parsed = z.object({ facts: machineFactsSchema }).safeParse(machine.probe)
  return parsed.success ? parsed.data.facts : null
}

/** A queued job as the scheduler reads it. */
export function asWaiting(job: JobRecord): WaitingJob {
  const { spec } = job
  return {
    id: job.id,
    worker: spec.worker,
    queue: job.queue,
    priority: job.priority,
    createdAt: job.createdAt,
    resources: spec.resources,
    ...(spec.machine !== undefined && { machine: spec.machine }),
    machineLabels: spec.machineLabels,
    secrets: spec.secrets,
    attempt: job.attempt,
    shape: '',
  }
}

function ended(job: JobRecord): string {
  if (job.state === 'completed') return `completed on ${job.machine ?? 'no machine'} in attempt ${job.attempt}`
  return `${job.state}${job.reason === null ? '' : `: ${job.reason}`}`
}

function moving({ job, machines, now }: ExplainInput): string {
  const { conditions } = job
  if (job.state === 'pending')
    return job.runAt !== null && job.runAt > now
      ? `waits ${Math.ceil((job.runAt - now) / 1_000)} s before the next attempt${job.reason === null ? '' : ` (the last ended: ${job.reason})`}`
      : 'becomes ready with the next sweep'
  const doing =
    job.state === 'scheduled'
      ? `being started on ${job.machine ?? '?'}`
      : `runs on ${job.machine ?? '?'}, attempt ${job.attempt}`
  const facts = [
    conditions.cancelRequested ? `cancelling since ${timeText(conditions.cancelRequested.at, now)}` : '',
    conditions.unconfirmedSince === undefined
      ? ''
      : `unconfirmed since ${timeText(conditions.unconfirmedSince, now)}${why(machines, job.machine, now)}`,
    conditions.stuck ? `stuck: pids ${conditions.stuck.pids.join(' ')} survive KILL` : '',
  ]
  return [doing, ...facts].filter((text) => text !== '').join('; ')
}

/** Why the machine of a job is silent, as its leader wrote down. */
function why(machines: readonly MachineRecord[], name: string | null, now: number): string {
  const trouble = machines.find((machine) => machine.name === name)?.trouble
  return trouble && name !== null ? `: ${name} ${troubleText(trouble, now)}` : ''
}

function summary(reasons: readonly Refusal[]): string {
  const [first, ...more] = reasons
  if (first === undefined) return 'no machine fits'
  const text = first.machine === null ? first.reason : `${first.machine} ${first.reason}`
  return more.length === 0 ? text : `${text} (and ${more.length} more)`
}
