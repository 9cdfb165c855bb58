/**
 * A day in ten minutes: many short jobs over three machines while connections, supervisors, controllers and machines fail. What must
 * hold: every job ends once with a true reason, no attempt runs twice, and at the end the machines hold nothing that no rule keeps.
 */
import {
  isTerminal,
  LIVE_STATES,
  silentLogger,
  systemClock,
  systemIds,
  WAITING_STATES,
  type JobState,
} from '@muster/core'
import { openCluster, type Cluster } from '@muster/cluster'
import { openStore, type JobStore } from '@muster/job-manager'
import { openOrchestrator } from '@muster/orchestrator'
import { commandWorker } from '@muster/workers'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkJob, checkStrangers, readLedger, type Recorded, type Run } from './checks.js'
import { Controllers } from './controllers.js'
import { Dice } from './dice.js'
import { runFaults, type Strike, type Weather } from './faults.js'
import { LEDGER, nextOrder, type Kind } from './jobs.js'
import { removeMachines, startMachines, sweepMachine, untilEmpty, type FleetMachine } from './machines.js'

/** How long and how wild a day is. */
export interface Day {
  readonly seed: number
  readonly jobs: number
  /** The jobs are submitted over this time, and faults happen during it. */
  readonly stormMs: number
  /** Afterwards everything must have ended within this time. */
  readonly calmMs: number
  readonly weather: Weather
}

/** What happened. `problems` is empty where all that must hold does. */
export interface Report {
  readonly problems: readonly string[]
  readonly figures: Readonly<Record<string, number>>
  /** What controllers logged of worse than information, for whoever looks into a problem. */
  readonly complaints: readonly string[]
}

const MACHINES = 3
const SLOTS = 16
const EMPTY_MS = 20_000
const PROGRESS_MS = 10_000

/** Lives through a day in `directory`, which is made. Leaves nothing but files there. */
export async function runFleet(directory: string, day: Day, log: (text: string) => void): Promise<Report> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const began = performance.now()
  const machines = await startMachines(MACHINES, SLOTS)
  const controllers = new Controllers({
    directory,
    machines: machines.map(({ config }) => config),
    lease: { leaseMs: day.weather.leaseMs, beatMs: day.weather.leaseMs / 4 },
  })
  try {
    await controllers.replace()
    const office = await openOffice(directory, machines)
    try {
      const strikes: Strike[] = []
      const kinds = await storm(office, machines, controllers, day, strikes, log)
      const late = await calm(office, day, log)
      const left = late.length > 0 ? [] : await untilEmpty(machines, EMPTY_MS)
      await controllers.close()
      const swept = late.length > 0 ? [] : (await Promise.all(machines.map(sweepMachine))).flat()
      const checked = await check(office, machines, kinds, strikes, join(directory, 'files'))
      return {
        problems: [...late, ...checked.problems, ...new Set([...left, ...swept])],
        figures: { seconds: (performance.now() - began) / 1_000, ...checked.figures },
        complaints: controllers.complaints(),
      }
    } finally {
      await office.close()
    }
  } finally {
    controllers.destroy()
    await removeMachines(machines)
  }
}

/** The record from this process, which submits and looks, and never leads. */
interface Office {
  readonly store: JobStore
  readonly cluster: Cluster
  close(): Promise<void>
}

async function openOffice(directory: string, machines: readonly FleetMachine[]): Promise<Office> {
  const tools = { clock: systemClock, ids: systemIds, logger: silentLogger }
  const store = await openStore(join(directory, 'jobs.db'), tools)
  const orchestrator = await openOrchestrator({ backend: 'local', ...tools })
  const configs = machines.map(({ config }) => config)
  const filesDirectory = join(directory, 'files')
  const cluster = openCluster({ store, orchestrator, machines: configs, filesDirectory, mode: 'off', ...tools })
  cluster.registerWorker('command', commandWorker())
  const close = async (): Promise<void> => {
    await cluster.close()
    await orchestrator.close()
    await store.close()
  }
  return { store, cluster, close }
}

/** Submits all jobs, evenly over the storm, while faults happen. Gives their kinds by id. */
async function storm(
  { store, cluster }: Office,
  machines: readonly FleetMachine[],
  controllers: Controllers,
  { seed, jobs, stormMs, weather }: Day,
  strikes: Strike[],
  log: (text: string) => void,
): Promise<ReadonlyMap<string, Kind>> {
  const dice = new Dice(seed)
  const over = new AbortController()
  const faults = runFaults(machines, controllers, weather, dice.of('faults'), strikes, over.signal)
  const orders = dice.of('jobs')
  const kinds = new Map<string, Kind>()
  const cancels: Promise<unknown>[] = []
  const start = performance.now()
  let saidAt = start
  try {
    for (let at = 0; at < jobs; at += 1) {
      const early = start + (stormMs * at) / jobs - performance.now()
      // A fault that cannot be made is the soak's own failure: it ends the wait, and the day.
      if (early > 0) await Promise.race([sleep(early), faults])
      const { kind, definition, options, cancelMs } = nextOrder(orders)
      const job = await cluster.submit(definition, options)
      kinds.set(job.id, kind)
      if (cancelMs !== null) cancels.push(sleep(cancelMs).then(() => cluster.cancelJob(job.id)))
      if (performance.now() - saidAt < PROGRESS_MS) continue
      saidAt = performance.now()
      log(`${await progress(store, start)}, ${strikes.length} faults`)
    }
    await Promise.all(cancels)
  } finally {
    over.abort()
    await faults
  }
  return kinds
}

/** Waits until every job has ended and is collected. Gives those that did not in time. */
async function calm({ store }: Office, { calmMs }: Day, log: (text: string) => void): Promise<readonly string[]> {
  const start = performance.now()
  for (let saidAt = start; ; await sleep(250)) {
    const [open, live] = [await jobsOf(store, [...WAITING_STATES, ...LIVE_STATES]), await store.live()]
    if (open.length === 0 && live.length === 0) return []
    if (performance.now() - start > calmMs) {
      const jobs = open.map(({ id, state, attempt }) => `${id} is still ${state} in attempt ${attempt}`)
      const attempts = live.map(
        ({ job, attempt }) =>
          `${job.id}.${attempt.number} on ${attempt.machine} is not done with: ${JSON.stringify(job.conditions)}`,
      )
      return [...jobs, ...attempts]
    }
    if (performance.now() - saidAt < PROGRESS_MS) continue
    saidAt = performance.now()
    log(`${await progress(store, start)}, calm`)
  }
}

/** All jobs in one of the states, or in any. */
async function jobsOf(store: JobStore, state?: readonly JobState[]): Promise<Recorded['job'][]> {
  const found: Recorded['job'][] = []
  for (let after: string | undefined; ;) {
    const page = await store.list({ ...(state && { state }) }, { limit: 1_000, ...(after !== undefined && { after }) })
    found.push(...page.jobs)
    if (page.next === undefined) return found
    after = page.next
  }
}

async function progress(store: JobStore, start: number): Promise<string> {
  const jobs = await jobsOf(store)
  const ended = jobs.filter(({ state }) => isTerminal(state)).length
  return `fleet: ${((performance.now() - start) / 1_000).toFixed(0)} s, ${jobs.length} submitted, ${ended} ended`
}

async function check(
  { store }: Office,
  machines: readonly FleetMachine[],
  kinds: ReadonlyMap<string, Kind>,
  strikes: readonly Strike[],
  files: string,
): Promise<Pick<Report, 'problems' | 'figures'>> {
  const problems: string[] = []
  const runs = new Map<string, Run>()
  for (const { name, machine } of machines)
    problems.push(...readLedger(name, (await machine.exec(`cat ${LEDGER}`)).stdout, runs))
  const recorded: Recorded[] = []
  for (const job of await jobsOf(store)) {
    const whole = { job, attempts: await store.attempts(job.id), history: await store.history(job.id) }
    recorded.push(whole)
    const kind = kinds.get(job.id)
    if (!kind) problems.push(`${job.id} was never submitted`)
    else if (isTerminal(job.state)) problems.push(...checkJob(whole, kind, runs, strikes, files))
  }
  if (recorded.length !== kinds.size)
    problems.push(`${kinds.size} jobs were submitted, ${recorded.length} are recorded`)
  problems.push(...checkStrangers(recorded, runs))
  return { problems, figures: figures(recorded, strikes) }
}

/** How often what happened. */
function figures(recorded: readonly Recorded[], strikes: readonly Strike[]): Record<string, number> {
  const counts: Record<string, number> = {}
  const count = (name: string): void => void (counts[name] = (counts[name] ?? 0) + 1)
  for (const { job, attempts } of recorded) {
    count(`jobs ${job.state}`)
    for (const { outcome } of attempts) count(`attempts ${String(outcome)}`)
  }
  for (const { fault } of strikes) count(`fault ${fault}`)
  return counts
}
