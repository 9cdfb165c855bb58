/** The job's context travels by itself: whatever is awaited while handling a job logs and records with its id. */
import { AsyncLocalStorage } from 'node:async_hooks'

/** What is being handled. */
export interface JobContext {
  readonly jobId: string
  readonly attempt?: number
}

const storage = new AsyncLocalStorage<JobContext>()

/** Runs `work` with the job's context. */
export function withJob<T>(context: JobContext, work: () => T): T {
  return storage.run(context, work)
}

/** The job being handled here, if any. */
export function currentJob(): JobContext | undefined {
  return storage.getStore()
}

/** Runs `work` outside any job's context: for what is started while handling a job and outlives it. */
export function withoutJob<T>(work: () => T): T {
  return storage.exit(work)
}
