/**
 * The composition root: settings become a record, queues, machines and workers. Nothing here decides anything else.
 *
 * Invariant: what fails half-way is closed again before the error is thrown; what was passed in is never closed.
 */
import { openCluster, type Cluster } from '@muster/cluster'
import { silentLogger, systemClock, systemIds, type Clock, type Ids, type Logger, type MusterError } from '@muster/core'
import { openJobManager, type JobManager } from '@muster/job-manager'
import { openOrchestrator, type Orchestrator } from '@muster/orchestrator'
import { commandWorker, gitWorker } from '@muster/workers'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ignoreRecord } from './config/gitignore.js'
import { resolveSettings, type Settings, type SettingsInput } from './config/settings.js'
import { Muster } from './muster.js'
import { openQueues } from './queues.js'

/** Options of {@link open}; `backend`, `store`, `files`, `machines` and `ssh` beat environment and configuration files. */
export interface OpenOptions extends SettingsInput {
  /**
   * Whether this process schedules: `true` (default) stands for the lease and runs jobs; `false` only reads and records;
   * `'care'` takes care of running jobs while a call waits and nobody else schedules. Only a process that schedules needs the
   * backend to open; the others reach it by the first call that uses it, so that they work while it is down.
   */
  readonly schedule?: boolean | 'care'
  /** Where `muster.yaml` is looked for and relative paths begin; the working directory by default. */
  readonly cwd?: string
  /** Says nothing by default. */
  readonly logger?: Logger
  readonly clock?: Clock
  readonly ids?: Ids
  /**
   * Called with what the user should know although the call succeeds (NOBODY_SCHEDULES; BACKEND_UNAVAILABLE where wake-ups do not get
   * through); the logger's `warn` by default.
   */
  readonly onWarning?: (warning: MusterError) => void
}

/**
 * Opens muster: the record, the queues, the machines, with the workers `git` and `command` registered.
 *
 * @example const muster = await open()
 * @throws CONFIG_INVALID, CONFIG_UNSAFE, INVALID_ARGUMENT, STORE_*; where this process schedules also CLIENT_MISSING and, within
 * seconds, BACKEND_UNAVAILABLE.
 */
export async function open(options: OpenOptions = {}): Promise<Muster> {
  const {
    schedule = true,
    cwd,
    logger = silentLogger,
    clock = systemClock,
    ids = systemIds,
    onWarning,
    ...input
  } = options
  const settings = await resolveSettings(input, { directory: cwd ?? process.cwd(), env: process.env })
  const warn =
    onWarning ?? ((warning: MusterError) => logger.warn({ code: warning.code }, `${warning.message}. ${warning.hint}`))
  const tools: Tools = { clock, ids, logger, warn }
  const opened: { close(): Promise<void> }[] = []
  try {
    const jobs = await openRecord(settings, tools)
    opened.push(jobs)
    const backend = await openQueues(settings.backend, jobs.store.recordId, schedule === true, tools)
    opened.push(backend)
    const orchestrator = await openOrchestrator({ backend, clock, ids, logger })
    opened.push(orchestrator)
    const cluster = startCluster(settings, tools, { jobs, orchestrator }, schedule)
    return new Muster({
      store: jobs.store,
      jobs,
      backend,
      orchestrator,
      cluster,
      filesDirectory: settings.filesDirectory,
      schedules: schedule === true,
      clock,
      warn,
    })
  } catch (error) {
    for (const part of opened.reverse()) await part.close()
    throw error
  }
}

interface Tools {
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly warn: (warning: MusterError) => void
}

async function openRecord({ storePath, isDefaultStore }: Settings, tools: Tools): Promise<JobManager> {
  if (isDefaultStore) await mkdir(dirname(storePath), { recursive: true, mode: 0o700 })
  const jobs = await openJobManager({ store: `sqlite:${storePath}`, ...tools })
  await ignoreRecord(storePath)
  return jobs
}

function startCluster(
  { storePath, filesDirectory, machines }: Settings,
  { warn, ...tools }: Tools,
  { jobs, orchestrator }: { readonly jobs: JobManager; readonly orchestrator: Orchestrator },
  schedule: boolean | 'care',
): Cluster {
  const mode = schedule === 'care' ? 'care' : schedule ? 'lead' : 'off'
  const cluster = openCluster({
    store: jobs.store,
    orchestrator,
    machines,
    filesDirectory,
    mode,
    onWarning: warn,
    ...tools,
  })
  cluster.registerWorker('command', commandWorker())
  cluster.registerWorker(
    'git',
    gitWorker({ mirrorsDirectory: join(dirname(storePath), 'mirrors'), clock: tools.clock }),
  )
  return cluster
}
