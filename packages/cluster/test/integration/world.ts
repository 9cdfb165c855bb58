/** What the cluster's integration tests share: a directory, controllers in processes of their own, and one in this process. */
import { openCluster, type Cluster, type ClusterOptions, type MachineConfig } from '@muster/cluster'
import { createLogger, systemClock, systemIds, type Clock, type SubmitOptions, type Worker } from '@muster/core'
import { openStore, type JobStore } from '@muster/job-manager'
import { openOrchestrator } from '@muster/orchestrator'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const CONTROLLER = new URL('fixtures/controller.mjs', import.meta.url).pathname
/** Short, so that a test waits for a second and not for ten. */
export const LEASE: Lease = { leaseMs: 1_000, beatMs: 250 }

/** For how long a leader leads once it is not heard of any more, and how often it is heard of, ms. */
export interface Lease {
  readonly leaseMs: number
  readonly beatMs: number
}

/** Runs argv and gives what was written to MUSTER_RESULT as text. */
export const testWorker: Worker = {
  kind: 'test',
  resolve: async (input) => input,
  prepare: async ({ payload }) => ({ command: { argv: (payload as { argv: string[] }).argv }, env: {}, artifacts: [] }),
  collect: async (exit) => exit.result?.toString(),
}

/** The definition of a job that runs a script. */
export const script = (text: string) => ({ worker: 'test', input: { argv: ['sh', '-c', text] } })

/** A controller in a process of its own. */
export interface Controller {
  readonly child: ChildProcess
  /** The next line that it says; rejects when it ends before. */
  line(): Promise<string>
  /** Resolves with the signal that ended it, null where it ended by itself. */
  readonly ended: Promise<NodeJS.Signals | null>
}

/** The machines of a world, told its directory. */
export type MachinesOf = (directory: string) => readonly MachineConfig[]

/** The machine at hand alone. */
const atHand: MachinesOf = (directory) => [
  { name: 'local', transport: 'local', stateDir: join(directory, 'machine'), cpus: 8 },
]

/** How a world is used from this process. */
export interface HereOptions {
  /** Of the cluster and, unless it has one of its own, of the record. */
  readonly clock?: Clock
  readonly storeClock?: Clock
  readonly tuning?: ClusterOptions['tuning']
  /** That of the run unless given (tests/setup/backend.ts). */
  readonly backend?: string
  readonly onWarning?: ClusterOptions['onWarning']
}

/** The backend that this run of the tests is about. */
export const backendOfRun = (): string => process.env['MUSTER_BACKEND'] ?? 'local'

/** A directory with a record in it, and the machines that its controllers know. */
export class World {
  readonly directory: string
  readonly machines: readonly MachineConfig[]
  readonly #lease: Lease
  readonly #children: Controller[] = []

  private constructor(directory: string, machines: readonly MachineConfig[], lease: Lease) {
    this.directory = directory
    this.machines = machines
    this.#lease = lease
  }

  static async make(name: string, machines: MachinesOf = atHand, lease = LEASE): Promise<World> {
    const directory = await mkdtemp(join(tmpdir(), `muster-test-${name}-`))
    return new World(directory, machines(directory), lease)
  }

  /** Ends what is left and removes the directory. */
  async clear(): Promise<void> {
    for (const { child } of this.#children) {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
    }
    await Promise.all(this.#children.map(({ ended }) => ended))
    await rm(this.directory, { recursive: true, force: true })
  }

  controller(
    options: {
      readonly crash?: string
      readonly submit?: { readonly argv: readonly string[]; readonly options?: SubmitOptions }
    } = {},
  ): Controller {
    const { directory, machines } = this
    const argument = JSON.stringify({ directory, machines, lease: this.#lease, ...options })
    const child = spawn(process.execPath, [CONTROLLER, argument], { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const ended = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null)
    const line = async (): Promise<string> => {
      const next = await lines.next()
      if (next.done) throw new Error('the controller said nothing more')
      return next.value
    }
    const controller = { child, line, ended }
    this.#children.push(controller)
    return controller
  }

  /** Uses the record from this process. */
  async here<T>(
    mode: ClusterOptions['mode'],
    use: (cluster: Cluster, store: JobStore) => Promise<T>,
    { clock = systemClock, storeClock = clock, tuning, backend = backendOfRun(), onWarning }: HereOptions = {},
  ): Promise<T> {
    const { directory, machines } = this
    const tools = { clock, ids: systemIds, logger: createLogger({ level: process.env['MUSTER_TEST_LOG'] ?? 'fatal' }) }
    const store = await openStore(join(directory, 'jobs.db'), { ...tools, clock: storeClock, lease: this.#lease })
    const orchestrator = await openOrchestrator({ backend, ...tools })
    const filesDirectory = join(directory, 'files')
    const options = { ...tools, ...(mode && { mode }), ...(tuning && { tuning }), ...(onWarning && { onWarning }) }
    const cluster = openCluster({ store, orchestrator, machines, filesDirectory, ...options })
    cluster.registerWorker('test', testWorker)
    try {
      return await use(cluster, store)
    } finally {
      await cluster.close()
      await orchestrator.close()
      await store.close()
    }
  }
}
