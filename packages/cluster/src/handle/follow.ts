/**
 * Following a job's log: every byte of every attempt once and in order. A running attempt is read from its machine by byte
 * offset, over this process's own connection; a collected one from its file, at the same offset, so the switch leaves no
 * hole and repeats nothing.
 *
 * Invariant: it ends only when the job has ended and every byte was handed out. A connection that breaks pauses it. What
 * is not taken is not read: a slow reader costs the job nothing and this process no memory.
 */
import { isTerminal, MusterError } from '@muster/core'
import type { AttemptRecord } from '@muster/job-manager'
import { join } from 'node:path'
import type { AttemptKey, LogChunk } from '../launch/launcher.js'
import { isSilence } from '../machines/lost.js'
import { JobChanges } from './changes.js'
import { readJob, type HandleDeps } from './deps.js'
import { collectedDirectory, readFrom } from './files.js'
import type { FollowedPiece } from './lines.js'

/** How a log is read. */
export interface LogOptions {
  /** Waits for what comes until the job has ended. Default true; false: what is there now. */
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

/** Bytes asked for at once. */
const CHUNK_BYTES = 256 * 1024
/** A quiet log is asked again after this, growing to the second: soon enough that a line is seen well within 300 ms. */
const POLL_MS = 20
const POLL_MAX_MS = 100
/** An unreachable machine is tried again after this; the transport has its own backoff below. */
const RECONNECT_MS = 1_000

/** The log of a job, attempt after attempt. */
export async function* followLog(
  deps: HandleDeps,
  jobId: string,
  options: LogOptions = {},
): AsyncGenerator<FollowedPiece, void, undefined> {
  const { follow = true, signal } = options
  const changes = new JobChanges(deps.store, deps.clock, jobId, signal)
  const reader: Reader = { deps, jobId, follow, signal, changes }
  const release = follow ? deps.care() : undefined
  try {
    for (let number = 1; await attemptExists(reader, number); number++) yield* new AttemptLog(reader, number).read()
  } finally {
    release?.()
    await changes.close()
  }
}

/** What one call of {@link followLog} works with. */
interface Reader {
  readonly deps: HandleDeps
  readonly jobId: string
  readonly follow: boolean
  readonly signal: AbortSignal | undefined
  readonly changes: JobChanges
}

/** Waits until attempt `number` exists (true), or the job has ended without one (false). */
async function attemptExists({ deps, jobId, follow, changes }: Reader, number: number): Promise<boolean> {
  for (;;) {
    const job = await readJob(deps.store, jobId)
    if (job.attempt >= number) return true
    if (isTerminal(job.state) || !follow) return false
    await changes.next()
  }
}

/** What the record says of an attempt: its row, and the key under which its machine still holds it. */
interface Facts {
  readonly attempt: AttemptRecord
  readonly key: AttemptKey | undefined
}

/** The log of one attempt, from byte 0 to its end. */
class AttemptLog {
  readonly #reader: Reader
  readonly #number: number
  #offset = 0

  constructor(reader: Reader, number: number) {
    this.#reader = reader
    this.#number = number
  }

  async *read(): AsyncGenerator<FollowedPiece, void, undefined> {
    let facts = await this.#facts()
    while (!facts.attempt.files && facts.key) {
      const final = this.#isOver(facts.attempt)
      yield* this.#fromMachine(facts.attempt, facts.key)
      // Read after the machine had nothing more: if the log was collected and removed meanwhile, the record says so now.
      facts = await this.#facts()
      if (final) break
    }
    if (facts.attempt.files) yield* this.#fromFile(facts.attempt)
    yield this.#piece(Buffer.alloc(0), true)
  }

  #isOver({ endedAt }: AttemptRecord): boolean {
    return endedAt !== null || !this.#reader.follow
  }

  /** What the machine has, until it has nothing new and the record changed (or is known to be final). */
  async *#fromMachine(attempt: AttemptRecord, key: AttemptKey): AsyncGenerator<FollowedPiece, void, undefined> {
    let pauseMs = POLL_MS
    for (;;) {
      const chunk = begun(attempt) ? await this.#ask(attempt, key) : NOTHING_YET
      if (chunk && chunk.bytes.length > 0) {
        yield this.#piece(chunk.bytes, false)
        pauseMs = POLL_MS
        continue
      }
      if (this.#isOver(attempt) && (chunk || !this.#reader.follow || attempt.notConfirmedGone)) return
      const changed = await this.#reader.changes.next(
        chunk === NOTHING_YET ? undefined : chunk ? pauseMs : RECONNECT_MS,
      )
      if (changed) return
      pauseMs = Math.min(pauseMs * 1.5, POLL_MAX_MS)
    }
  }

  /** Undefined where the machine cannot be reached now. */
  async #ask(attempt: AttemptRecord, key: AttemptKey): Promise<LogChunk | undefined> {
    const { deps, signal } = this.#reader
    try {
      const launcher = await deps.launcher(attempt.machine)
      return await launcher.logs(key, { offset: this.#offset, maxBytes: CHUNK_BYTES }, signal)
    } catch (error) {
      if (isSilence(error)) return undefined
      // Collected and removed between our reading of the record and this question: the file has it.
      if ((await this.#facts()).attempt.files) return NOTHING_YET
      throw error
    }
  }

  async *#fromFile(attempt: AttemptRecord): AsyncGenerator<FollowedPiece, void, undefined> {
    const directory = await collectedDirectory(this.#reader.deps, attempt)
    for await (const bytes of readFrom(join(directory, 'log'), this.#offset)) yield this.#piece(bytes, false)
  }

  #piece(bytes: Buffer, last: boolean): FollowedPiece {
    const offset = this.#offset
    this.#offset += bytes.length
    return { bytes, attempt: this.#number, offset, last }
  }

  async #facts(): Promise<Facts> {
    const { deps, jobId } = this.#reader
    // In this order: an attempt that is not live any more then shows in its row how it ended and where its files are.
    const live = await deps.store.live({ jobId })
    const attempt = (await deps.store.attempts(jobId)).find(({ number }) => number === this.#number)
    if (!attempt) throw new MusterError('STORE_FAILED', `attempt ${this.#number} of job ${jobId} left the record`)
    const token = live.find((one) => one.attempt.number === this.#number)?.token
    return { attempt, key: token === undefined ? undefined : { jobId, attempt: this.#number, token } }
  }
}

/** Stands for the answer of a machine that was not asked, because its attempt has not been seen to start. */
const NOTHING_YET: LogChunk = { bytes: Buffer.alloc(0), size: 0 }

function begun({ startedAt, endedAt }: AttemptRecord): boolean {
  return startedAt !== null || endedAt !== null
}
