/**
 * Jobs that could not be started from this host for a reason that another host, or another day, may not have (their commit cannot
 * be had here): given back, they wait a while before this leader tries them again. It dies with the leadership.
 */
import type { Clock } from '@muster/core'

const FIRST_MS = 10_000
const LAST_MS = 600_000

/** See the file's head. */
export class Postponed {
  readonly #clock: Clock
  readonly #jobs = new Map<string, { readonly pauseMs: number; readonly until: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Puts a job off, each time for twice as long, at most ten minutes. */
  postpone(jobId: string): void {
    const pauseMs = Math.min((this.#jobs.get(jobId)?.pauseMs ?? FIRST_MS / 2) * 2, LAST_MS)
    this.#jobs.set(jobId, { pauseMs, until: this.#clock.monotonic() + pauseMs })
  }

  /** Whether the job is to be left alone until later. */
  has(jobId: string): boolean {
    const job = this.#jobs.get(jobId)
    return job !== undefined && this.#clock.monotonic() < job.until
  }

  /** The job started after all. */
  forget(jobId: string): void {
    this.#jobs.delete(jobId)
  }
}
