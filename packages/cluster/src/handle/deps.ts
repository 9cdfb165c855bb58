/** What a handle needs of its surroundings. Narrow, so that a handle can be tested on a record and a launcher alone. */
import type { Clock, JobState } from '@muster/core'
import { isTerminal, MusterError } from '@muster/core'
import type { JobRecord, JobStore } from '@muster/job-manager'
import type { Launcher } from '../launch/launcher.js'

/** What a handle is given by its cluster. */
export interface HandleDeps {
  readonly store: JobStore
  /** The launcher of a machine by name. Throws UNKNOWN_MACHINE where this process does not configure it. */
  launcher(machine: string): Promise<Launcher>
  /** Where collected files lie: `FILES/JOB/ATTEMPT/{log,result,artifacts/…}`. */
  readonly filesDirectory: string
  /** The name of this host, compared with the one that the record names for a collected file. */
  readonly host: string
  readonly clock: Clock
  /** Takes care of the record while somebody waits and nobody leads; the returned function ends that. */
  care(): () => void
  cancel(id: string, reason?: string): Promise<JobRecord>
  restart(id: string, options?: { readonly reason?: string; readonly force?: boolean }): Promise<JobRecord>
}

/** The job as recorded. Throws JOB_NOT_FOUND. */
export async function readJob(store: JobStore, id: string): Promise<JobRecord> {
  const job = await store.get(id)
  if (!job) throw new MusterError('JOB_NOT_FOUND', `the record ${store.location} holds no job ${JSON.stringify(id)}`)
  return job
}

/** Whether a job has ended and its files are here: nothing more will happen to it unless it is restarted. */
export function isSettled(job: { readonly state: JobState; readonly conditions: JobRecord['conditions'] }): boolean {
  return isTerminal(job.state) && !job.conditions.collecting
}
