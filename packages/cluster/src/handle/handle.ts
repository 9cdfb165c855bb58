/**
 * The job handle: plain data (`id`, `created`) and methods. It holds no state of the job; every call reads the record, so a
 * handle from yesterday, or from another process, is as good as the one that submit returned.
 *
 * Invariant: it is not thenable; aborting a wait never touches the job; waiting is on the record's watch, never a poll.
 */
import { isTerminal, type Action, type JobEventRecord } from '@muster/core'
import type { JobRecord } from '@muster/job-manager'
import { join } from 'node:path'
import { copyArtifacts, listArtifacts, type Artifact } from './artifacts.js'
import { JobChanges } from './changes.js'
import { isSettled, readJob, type HandleDeps } from './deps.js'
import { collectedDirectory } from './files.js'
import { followLog, type LogOptions } from './follow.js'
import { logLines, type LogLine, type LogPiece } from './lines.js'
import { jobResult, type JobResult } from './result.js'

/** After these a job may have ended, and its files may be here. */
const ENDINGS: readonly Action[] = ['succeed', 'fail', 'cancel', 'collected']

/** Options of a call that waits. */
export interface WaitOptions {
  /** Ends the wait, never the job. The call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** One job of the record. Accepted wherever a job's id is. */
export class JobHandle {
  readonly id: string
  /** False where submit found the job that an earlier submit with the same key had made, or the job was opened by id. */
  readonly created: boolean
  readonly #deps: HandleDeps

  /** Handles are made by `submit` and `job(id)`. */
  constructor(deps: HandleDeps, id: string, created: boolean) {
    this.#deps = deps
    this.id = id
    this.created = created
  }

  /** The job as recorded now. Throws JOB_NOT_FOUND. */
  status(): Promise<JobRecord> {
    return readJob(this.#deps.store, this.id)
  }

  /** Waits until the job has ended and its log and artifacts are here, and gives it as recorded, however it ended. */
  wait(options: WaitOptions = {}): Promise<JobRecord> {
    return this.#until(isSettled, options.signal)
  }

  /** Waits until nothing of the job runs (its files may still be on their way), and gives it as recorded. */
  ended(options: WaitOptions = {}): Promise<JobRecord> {
    return this.#until((job) => isTerminal(job.state), options.signal)
  }

  /**
   * Waits for the end, collecting included, and gives the result of a completed job.
   * Throws {@link JobError} (JOB_FAILED, JOB_CANCELLED), FILE_ELSEWHERE, FILE_MISSING.
   */
  async result(options: WaitOptions = {}): Promise<JobResult> {
    return jobResult(this.#deps, await this.wait(options))
  }

  /**
   * The lines of all attempts from the first byte on. Ends when the job has ended and every line was delivered; a lost
   * connection pauses it. Reading slowly costs the job nothing. Throws FILE_ELSEWHERE, FILE_MISSING.
   */
  logs(options?: LogOptions): AsyncGenerator<LogLine, void, undefined> {
    return logLines(followLog(this.#deps, this.id, options))
  }

  /** The same byte for byte, in pieces as they arrive. */
  async *logBytes(options?: LogOptions): AsyncGenerator<LogPiece, void, undefined> {
    for await (const { bytes, attempt, offset } of followLog(this.#deps, this.id, options))
      if (bytes.length > 0) yield { bytes, attempt, offset }
  }

  /** What happened to the job, from its submit on; follows until it has ended and its files are here. */
  async *events(options: LogOptions = {}): AsyncGenerator<JobEventRecord, void, undefined> {
    const { store, clock } = this.#deps
    const follow = options.follow ?? true
    const changes = new JobChanges(store, clock, this.id, options.signal)
    const release = follow ? this.#deps.care() : undefined
    try {
      for (let seen = 0; ;) {
        const over = !follow || isSettled(await this.status())
        for (const event of await store.history(this.id)) {
          if (event.seq <= seen) continue
          yield event
          seen = event.seq
        }
        if (over) return
        await changes.next()
      }
    } finally {
      release?.()
      await changes.close()
    }
  }

  /**
   * Waits until the artifacts of the last attempt are here and copies them below `directory`; without one it only says
   * where they lie. Throws INVALID_ARGUMENT where something in `directory` is in the way, FILE_ELSEWHERE, FILE_MISSING.
   */
  async artifacts(directory?: string, options: WaitOptions = {}): Promise<Artifact[]> {
    await this.wait(options)
    const attempt = (await this.#deps.store.attempts(this.id)).findLast(({ files }) => files !== null)
    if (!attempt) return []
    const collected = join(await collectedDirectory(this.#deps, attempt), 'artifacts')
    return directory === undefined ? listArtifacts(collected) : copyArtifacts(collected, directory)
  }

  /** Records the wish to cancel (durable when it resolves; what waits is cancelled at once). Await `ended()` to see it done. */
  cancel(reason?: string): Promise<JobRecord> {
    return this.#deps.cancel(this.id, reason)
  }

  /** Runs an ended job again: same id, next attempt. Throws JOB_STATE_CONFLICT, ATTEMPT_UNCONFIRMED (unless forced). */
  restart(options?: { readonly reason?: string; readonly force?: boolean }): Promise<JobRecord> {
    return this.#deps.restart(this.id, options)
  }

  async #until(done: (job: JobRecord) => boolean, signal: AbortSignal | undefined): Promise<JobRecord> {
    const now = await this.status()
    if (done(now)) return now
    const { store, clock } = this.#deps
    // Rings for an end of before it began to listen, too.
    const changes = new JobChanges(store, clock, this.id, signal, ENDINGS)
    const release = this.#deps.care()
    try {
      for (;;) {
        await changes.next()
        const job = await this.status()
        if (done(job)) return job
      }
    } finally {
      release()
      await changes.close()
    }
  }
}
