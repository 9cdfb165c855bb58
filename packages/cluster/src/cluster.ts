/**
 * The cluster: what people submit to. It ties the leader (placement, launch, observation), the machines and the record together;
 * each knows nothing of the others' insides. Whoever opened store and orchestrator closes them; close() here gives back the lease
 * and the machines, and leaves every job running.
 */
import { hostname, userInfo } from 'node:os'
import {
  closeOnce,
  isLive,
  MusterError,
  Recent,
  type Clock,
  type Closable,
  type Ids,
  type JobDefinitionInput,
  type Logger,
  type SubmitOptions,
  type Worker,
} from '@muster/core'
import type { JobRecord, JobStore, MachineRecord } from '@muster/job-manager'
import type { Orchestrator } from '@muster/orchestrator'
import { JobHandle } from './handle/handle.js'
import type { HandleDeps } from './handle/deps.js'
import type { Tuning } from './leader/desk.js'
import { Leader } from './leader/leader.js'
import { whyUnresolved } from './leader/secrets.js'
import { lookAt, refuseUnknown, untilDrained, type DrainWait, type MachineLook } from './operator.js'
import { MachineRegistry, type MachineConfig } from './registry.js'
import { explainJob, type Explanation } from './scheduler/explain.js'
import type { MachineFacts } from './scheduler/snapshot.js'
import { actorOf, readFacts, submitJob, type RecordedFacts, type SubmitContext } from './submit.js'
import { WakeUps } from './wakeups.js'

/** What a cluster is opened with. */
export interface ClusterOptions {
  readonly store: JobStore
  readonly orchestrator: Orchestrator
  readonly machines: readonly MachineConfig[]
  /** Where collected logs, artifacts and large results go; made 0700 when needed. */
  readonly filesDirectory: string
  /** `lead`: stands for the lease and schedules. `care`: a caretaker while somebody waits. `off`: neither. Default `lead`. */
  readonly mode?: 'lead' | 'care' | 'off'
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  /** Told what the user should know although nothing failed (BACKEND_UNAVAILABLE: wake-ups do not get through); logged by default. */
  readonly onWarning?: (warning: MusterError) => void
  readonly tuning?: Partial<Tuning>
}

/** How old may be what a submit believes of the machines. */
const RECENT_MS = 1_000

/** See the file's head. */
export class Cluster implements Closable {
  readonly #options: ClusterOptions
  readonly #workers = new Map<string, Worker>()
  readonly #registry: MachineRegistry
  readonly #recorded: Recent<RecordedFacts>
  readonly #looks = new Map<string, Recent<MachineLook>>()
  readonly #wakeUps: WakeUps
  readonly #host = hostname()
  #leader: Leader | undefined
  #caring = 0
  #parting: Promise<void> = Promise.resolve()

  /** Use {@link openCluster}. */
  constructor(options: ClusterOptions) {
    this.#options = options
    this.#registry = new MachineRegistry(options.machines, options)
    this.#recorded = new Recent(options.clock, RECENT_MS, () => readFacts(options.store))
    const { store, orchestrator, clock, logger } = options
    const warn = options.onWarning ?? ((warning) => logger.warn({ code: warning.code }, warning.message))
    this.#wakeUps = new WakeUps({ orchestrator, recordId: store.recordId, clock, logger, warn })
  }

  /** Makes a worker known under a name. Throws INVALID_ARGUMENT when the name is taken. */
  registerWorker(name: string, worker: Worker): void {
    if (this.#workers.has(name))
      throw new MusterError('INVALID_ARGUMENT', `a worker called ${name} is already registered`)
    this.#workers.set(name, worker)
    if (this.#options.mode === undefined || this.#options.mode === 'lead') this.#lead()
    this.#leader?.wake()
  }

  /**
   * Records a job durably and has it run. The handle's `created` is false when the key named an existing one.
   * Throws INVALID_ARGUMENT, UNKNOWN_WORKER, UNKNOWN_MACHINE, UNPLACEABLE, KEY_CONFLICT, what the worker's resolve throws, STORE_*; and
   * what `probe` throws, where the job could only go to machines that nobody has ever reached and that cannot be reached now.
   */
  async submit(
    definition: JobDefinitionInput,
    options: SubmitOptions = {},
    context: SubmitContext = {},
  ): Promise<JobHandle> {
    const { store, ids, logger } = this.#options
    const deps = {
      store,
      ids,
      logger,
      workers: this.#workers,
      configs: this.#registry.configs,
      recorded: this.#recorded,
      look: (name: string) => this.#look(name),
    }
    const { job, created } = await submitJob(deps, definition, options, context)
    if (created) this.#announce([job])
    return new JobHandle(this.#handleDeps(), job.id, created)
  }

  /** A handle for a job of the record, by id or second name. Throws JOB_NOT_FOUND. */
  async job(id: string): Promise<JobHandle> {
    const job = await this.getJobStatus(id)
    return new JobHandle(this.#handleDeps(), job.id, false)
  }

  /** The job as recorded. Throws JOB_NOT_FOUND. */
  async getJobStatus(id: string): Promise<JobRecord> {
    const job = await this.#options.store.get(id)
    if (!job)
      throw new MusterError(
        'JOB_NOT_FOUND',
        `the record ${this.#options.store.location} holds no job ${JSON.stringify(id)}`,
      )
    return job
  }

  /** Cancels what waits at once; of what runs, records the wish durably. Of an ended job, changes nothing. Throws JOB_NOT_FOUND. */
  async cancelJob(id: string, reason = 'asked for'): Promise<JobRecord> {
    const { job } = await this.#options.store.cancel(id, actorOf(), reason)
    this.#leader?.wake()
    return job
  }

  /** The machines as the leader last recorded them. */
  machines(): Promise<readonly MachineRecord[]> {
    return this.#options.store.machines()
  }

  /** The machines as configured here, whether or not anybody has reached them. */
  get configs(): ReadonlyMap<string, MachineConfig> {
    return this.#registry.configs
  }

  /** Asks a configured machine what it has, now and without a leader. Throws UNKNOWN_MACHINE, SSH_*, HOST_KEY_*, TRANSPORT_*, MACHINE_UNUSABLE, STATE_DIR_UNSAFE. */
  probe(machine: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<MachineLook> {
    return lookAt(this.#registry, machine, signal)
  }

  /**
   * Takes a machine out of use, durably, whoever leads: nothing is placed there from now on; what runs there finishes. False where
   * it was drained already. Undo it with `resume`. Throws UNKNOWN_MACHINE.
   */
  async drain(machine: string, { reason = '' }: { readonly reason?: string } = {}): Promise<boolean> {
    const { store } = this.#options
    await refuseUnknown(store, this.#registry, machine)
    const changed = await store.drain(machine, actorOf(), reason)
    this.#leader?.wake()
    return changed
  }

  /** Waits until nothing is left on a drained machine (or somebody resumed it), as a caretaker where the mode says so. */
  async drained(machine: string, wait: DrainWait = {}): Promise<MachineRecord | undefined> {
    const release = this.#care()
    try {
      return await untilDrained(this.#options, machine, wait)
    } finally {
      release()
    }
  }

  /** Takes a machine into use again. False where it was not drained. Throws UNKNOWN_MACHINE. */
  async resume(machine: string): Promise<boolean> {
    const { store } = this.#options
    await refuseUnknown(store, this.#registry, machine)
    const changed = await store.resume(machine)
    this.#leader?.wake()
    return changed
  }

  /** Lifts the quarantine of one GPU, or of all of a machine. Gives the UUIDs freed. Throws UNKNOWN_MACHINE. */
  async free(machine: string, gpu?: string): Promise<readonly string[]> {
    await refuseUnknown(this.#options.store, this.#registry, machine)
    const freed = await this.#options.store.freeGpus(machine, gpu, actorOf())
    this.#leader?.wake()
    return freed
  }

  /** Why the job is where it is. Throws JOB_NOT_FOUND. */
  async explain(id: string): Promise<Explanation> {
    const { store, clock } = this.#options
    const job = await this.getJobStatus(id)
    const [leader, machines, live, pauses] = await Promise.all([
      store.leader(),
      store.machines(),
      store.live(),
      store.pausedQueues(),
    ])
    const unresolved = this.#leader?.epoch == null ? undefined : await whyUnresolved(job.spec.secrets)
    const givenBack = await this.#whyGivenBack(job)
    const known = { job, leader, machines, live, workers: this.#workers, paused: pauses.get(job.queue) }
    return explainJob({ ...known, unresolved, givenBack, now: clock.now() })
  }

  async #whyGivenBack({ id, state, attempt }: JobRecord): Promise<string | undefined> {
    if (state !== 'queued' || attempt === 0) return undefined
    const last = (await this.#options.store.attempts(id)).find(({ number }) => number === attempt)
    const text = last?.outcome === 'released' ? last.detail['text'] : undefined
    return typeof text === 'string' ? text : undefined
  }

  readonly close = closeOnce(async () => {
    await this.#parting
    await this.#leader?.close()
    await this.#wakeUps.close()
    await this.#registry.close()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What a configured machine has; of many submits in one moment one asks. */
  #look(name: string): Promise<MachineFacts> {
    const asked = this.#looks.get(name) ?? new Recent(this.#options.clock, RECENT_MS, () => this.probe(name))
    this.#looks.set(name, asked)
    return asked.recently().then(({ facts }) => facts)
  }

  #handleDeps(): HandleDeps {
    const { store, clock, filesDirectory } = this.#options
    return {
      store,
      clock,
      filesDirectory,
      host: this.#host,
      launcher: async (machine) => this.#registry.reach(machine).launcher,
      care: () => this.#care(),
      cancel: (id, reason) => this.cancelJob(id, reason),
      restart: (id, options) => this.#restart(id, options),
    }
  }

  async #restart(id: string, options: { readonly reason?: string; readonly force?: boolean } = {}): Promise<JobRecord> {
    const job = await this.#options.store.restart(id, actorOf(), options)
    this.#announce([job])
    return job
  }

  /** Takes care of the record while somebody waits here, where the mode says so. */
  #care(): () => void {
    if (this.#options.mode !== 'care') return () => undefined
    if (this.#caring++ === 0) this.#lead()
    let released = false
    return () => {
      if (released) return
      released = true
      if (--this.#caring > 0) return
      const leader = this.#leader
      this.#leader = undefined
      this.#parting = Promise.all([this.#parting, leader?.close()]).then(() => undefined)
    }
  }

  #lead(): void {
    const { store, filesDirectory, clock, logger, tuning, mode } = this.#options
    this.#leader ??= new Leader({
      store,
      registry: this.#registry,
      workers: this.#workers,
      filesDirectory,
      host: this.#host,
      holder: `${userInfo().username}@${this.#host}:${process.pid}`,
      caretaker: mode === 'care',
      clock,
      logger,
      ...(tuning && { tuning }),
      announce: (ready) => {
        this.#wakeUps.send(ready)
      },
      hear: (look) => this.#wakeUps.hear(look),
    })
  }

  #announce(jobs: readonly JobRecord[]): void {
    this.#wakeUps.send(jobs.filter(({ state }) => state === 'queued' || isLive(state)))
  }
}

/** Opens a cluster over an open record and orchestrator. It leads (unless `mode` says otherwise) once a worker is registered. */
export function openCluster(options: ClusterOptions): Cluster {
  return new Cluster(options)
}
