/**
 * A controller of the soak: a process that stands for the lease of the record and leads it, until it is killed or its standard input
 * ends. Its argument is JSON: where the record is and which machines there are. Prints `up`; its log is standard error.
 */
import { openCluster, type MachineConfig } from '@muster/cluster'
import { createLogger, systemClock, systemIds } from '@muster/core'
import { openStore, type LeaseTimes } from '@muster/job-manager'
import { openOrchestrator } from '@muster/orchestrator'
import { commandWorker } from '@muster/workers'
import { join } from 'node:path'

/** What a controller is told. */
export interface ControllerSetup {
  readonly directory: string
  readonly machines: readonly MachineConfig[]
  readonly lease: LeaseTimes
}

const { directory, machines, lease } = JSON.parse(process.argv[2] ?? '') as ControllerSetup
const tools = { clock: systemClock, ids: systemIds, logger: createLogger({ level: 'info' }) }
const store = await openStore(join(directory, 'jobs.db'), { ...tools, lease })
const orchestrator = await openOrchestrator({ backend: 'local', ...tools })
const cluster = openCluster({ store, orchestrator, machines, filesDirectory: join(directory, 'files'), ...tools })
cluster.registerWorker('command', commandWorker())
console.log('up')

async function close(): Promise<void> {
  await cluster.close()
  await orchestrator.close()
  await store.close()
}
process.stdin.resume().on('end', () => {
  void close().then(() => process.exit(0))
})
