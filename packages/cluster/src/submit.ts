/**
 * Submit: validate, refuse what could never run, pin what may change (the worker's resolve), then one durable write. Nothing is
 * recorded before all of that has succeeded, and submit resolves only after the record is synced (P1).
 */
import { hostname, userInfo } from 'node:os'
import {
  jobSpec,
  MusterError,
  type Ids,
  type JobDefinitionInput,
  type JobSpec,
  type Logger,
  type Recent,
  type SubmitOptions,
  type Worker,
} from '@muster/core'
import type { JobRecord, JobStore } from '@muster/job-manager'
import type { MachineConfig } from './registry.js'
import { factsOf } from './scheduler/explain.js'
import { neverFits, type Demand } from './scheduler/filters.js'
import type { MachineFacts } from './scheduler/snapshot.js'

/** What accompanies a submit. */
export interface SubmitContext {
  /** Aborts the submit; rejects with the signal's reason, and nothing is recorded unless it was already. */
  readonly signal?: AbortSignal
  /** What is going on, one line at a time (a repository being fetched, say). */
  readonly progress?: (text: string) => void
}

/** Facts by the machine's name; null of one that was never probed. */
export type RecordedFacts = ReadonlyMap<string, MachineFacts | null>

/** What a submit works with. */
export interface SubmitDeps {
  readonly store: JobStore
  readonly workers: ReadonlyMap<string, Worker>
  readonly configs: ReadonlyMap<string, MachineConfig>
  /** What the record says of the machines. */
  readonly recorded: Recent<RecordedFacts>
  /** Asks a configured machine what it has. Throws where it cannot be reached. */
  readonly look: (machine: string) => Promise<MachineFacts>
  readonly ids: Ids
  readonly logger: Logger
}

/** Reads the facts of all machines that the record knows, but for those that its leader does not (any more). */
export async function readFacts(store: JobStore): Promise<RecordedFacts> {
  const machines = (await store.machines()).filter(({ trouble }) => trouble?.code !== 'UNKNOWN_MACHINE')
  return new Map(machines.map((machine) => [machine.name, factsOf(machine)]))
}

/** Records the job, or finds the one that the key names. */
export async function submitJob(
  deps: SubmitDeps,
  definition: JobDefinitionInput,
  options: SubmitOptions,
  context: SubmitContext,
): Promise<{ readonly job: JobRecord; readonly created: boolean }> {
  const spec = jobSpec(definition, options)
  const worker = knownWorker(deps, spec)
  const existing = spec.key === undefined ? undefined : await deps.store.findByKey(spec)
  if (existing) return { job: existing, created: false }
  await refuseImpossible(deps, spec)
  let signal = context.signal
  const payload = await worker.resolve(spec.input, {
    // Made only for a worker that looks: most of them resolve at once.
    get signal() {
      return (signal ??= new AbortController().signal)
    },
    logger: deps.logger,
    progress: context.progress ?? (() => undefined),
  })
  context.signal?.throwIfAborted()
  const owner = spec.owner ?? me()
  return deps.store.insert({ id: deps.ids.next(), spec, owner, payload, actor: actorOf(owner) })
}

/** How this process's user is named in events. */
export function actorOf(user = me()): string {
  return `user:${user}@${(host ??= hostname())}`
}

// Asked once: both are questions to the system, and submits come by the thousand.
let username: string | undefined
let host: string | undefined
const me = (): string => (username ??= userInfo().username)

function knownWorker(deps: SubmitDeps, spec: JobSpec): Worker {
  const worker = deps.workers.get(spec.worker)
  if (worker) return worker
  const known = [...deps.workers.keys()].join(', ')
  throw new MusterError('UNKNOWN_WORKER', `no worker is called ${spec.worker}; registered: ${known}`, {
    details: { worker: spec.worker },
  })
}

/**
 * Refuses a machine that nobody configured, a demand that no configured machine could ever meet, and a job that could only go where
 * nobody has ever been and nobody gets now. What was read a moment ago may accept a job (at worst it waits, and `explain` says
 * why), but only what the record says now refuses one.
 */
async function refuseImpossible(deps: SubmitDeps, spec: JobSpec): Promise<void> {
  if (somebodyFits(deps, spec, await deps.recorded.recently())) return
  if (await whyImpossible(deps, spec, await deps.recorded.recently())) {
    const refusal = await whyImpossible(deps, spec, await deps.recorded.now())
    if (refusal) throw refusal
  }
}

/** The usual case, decided without asking anybody: a machine of the record could run the job. */
function somebodyFits(deps: SubmitDeps, spec: JobSpec, recorded: RecordedFacts): boolean {
  const demand = demandOf(spec, knownWorker(deps, spec))
  for (const [name, facts] of recorded) if (facts && neverFits(demand, name, facts) === null) return true
  return false
}

/** What of a job decides where it could ever run. */
function demandOf({ resources, machineLabels, machine }: JobSpec, { needs = [] }: Worker): Demand {
  return { resources, machineLabels, needs, ...(machine !== undefined && { machine }) }
}

async function whyImpossible(deps: SubmitDeps, spec: JobSpec, recorded: RecordedFacts): Promise<Error | undefined> {
  const names = [...new Set([...deps.configs.keys(), ...recorded.keys()])]
  if (spec.machine !== undefined && !names.includes(spec.machine))
    return new MusterError('UNKNOWN_MACHINE', `no machine is called ${spec.machine}; configured: ${names.join(', ')}`, {
      details: { machine: spec.machine },
    })
  const demand = demandOf(spec, knownWorker(deps, spec))
  const candidates = names.filter((name) => spec.machine === undefined || spec.machine === name)
  const verdicts = await firstFit(
    candidates.map((name) => () => whyNever(deps, demand, name, recorded.get(name) ?? null)),
  )
  if (verdicts === undefined) return undefined
  const unreached = verdicts.find((verdict) => verdict instanceof Error)
  if (unreached) return unreached
  const reasons = candidates.map((machine, index) => ({ machine, reason: String(verdicts[index]) }))
  const text = reasons.map(({ machine, reason }) => `${machine}: ${reason}`).join('; ')
  return new MusterError('UNPLACEABLE', `no machine could ever run this job (${text})`, { details: { reasons } })
}

/** Why a machine will not do: what it lacks, or why it could not be asked. Null: it may do. */
type Verdict = string | Error | null

/** All verdicts, or undefined as soon as one is null: a machine that does not answer holds up no job that fits elsewhere. */
function firstFit(asking: readonly (() => Promise<Verdict>)[]): Promise<Verdict[] | undefined> {
  return new Promise((resolve, reject) => {
    const asked = asking.map(async (ask) => {
      const verdict = await ask()
      if (verdict === null) resolve(undefined)
      return verdict
    })
    Promise.all(asked).then(resolve, reject)
  })
}

/**
 * Nothing is refused on what was recorded of a machine that this process can ask itself; one that was reached before and cannot be
 * asked now gets the benefit of the doubt (the job then waits, and `explain` says why); one that nobody ever reached does not.
 */
async function whyNever(
  { configs, look, logger }: SubmitDeps,
  demand: Demand,
  name: string,
  recorded: MachineFacts | null,
): Promise<Verdict> {
  const reason = recorded && neverFits(demand, name, recorded)
  if ((recorded && reason === null) || !configs.has(name)) return reason
  try {
    return neverFits(demand, name, await look(name))
  } catch (error) {
    logger.debug({ err: error, machine: name }, 'a machine could not be asked what it has')
    return reason ?? (error instanceof Error ? error : new Error(String(error)))
  }
}
