/**
 * Wake-ups: messages that say "look at this job", from whoever recorded it to whoever leads. They carry no state: the record is the
 * waiting set and is swept anyway, so a wake-up that is lost, late, doubled or refused costs at most a second and never a job (P4).
 *
 * Invariant: whoever sends one never waits for it. At most one is under way and one is next, which speaks for all that were recorded
 * meanwhile; so a broker that is down holds up no submit and fills no memory. A leader in this process is called directly.
 */
import {
  abortReason,
  closeOnce,
  isMusterError,
  MusterError,
  TaskGroup,
  type Clock,
  type Closable,
  type Logger,
} from '@muster/core'
import type { Orchestrator } from '@muster/orchestrator'

/** What wake-ups travel through. */
export interface WakeUpOptions {
  readonly orchestrator: Orchestrator
  readonly recordId: string
  readonly clock: Clock
  readonly logger: Logger
  /** Told once when the backend stops taking them. */
  readonly warn: (warning: MusterError) => void
}

/** The queue of a record's wake-ups: named by the record's own id, so that two records on one broker never hear each other's. */
export function wakeUpQueue(recordId: string): string {
  return `wake-ups.${recordId}`
}

/** Beyond this many waiting wake-ups another one says nothing new: what piles up while nobody leads stays small. */
export const WAKE_UPS_MAX = 1_000

const CONCURRENCY = 16
/** How long `close` waits for a wake-up that is under way. */
const GRACE_MS = 1_000

/** Sends and hears wake-ups. */
export class WakeUps implements Closable {
  readonly #options: WakeUpOptions
  readonly #queue: string
  readonly #closing = new AbortController()
  readonly #tasks: TaskGroup
  readonly #ears = new Set<() => void>()
  #next: string | undefined
  #sending = false
  #failing = false

  constructor(options: WakeUpOptions) {
    this.#options = options
    this.#queue = wakeUpQueue(options.recordId)
    this.#tasks = new TaskGroup((error) => options.logger.error({ err: error }, 'a task of the wake-ups failed'))
  }

  /** Says that jobs became ready, to the leader here or wherever it is. Returns at once and never throws. */
  send(ready: readonly { readonly id: string }[]): void {
    const last = ready.at(-1)
    if (last === undefined || this.#closing.signal.aborted) return
    for (const look of this.#ears) look()
    // Nobody else could hear it where only this process sees the queues.
    if (this.#ears.size > 0 || !this.#options.orchestrator.capabilities.shared) return
    this.#next = last.id
    if (!this.#sending) this.#tasks.run(() => this.#sendAll())
  }

  /** Calls back for every wake-up of the record, for the process that leads; the function that it gives ends that at once. */
  hear(look: () => void): () => void {
    const { orchestrator } = this.#options
    this.#ears.add(look)
    // Acknowledged as soon as it was heard: the row it points to is read by the sweep that follows.
    const consumer = orchestrator.capabilities.shared
      ? orchestrator.consume(this.#queue, look, { concurrency: CONCURRENCY, keepAlive: false })
      : undefined
    return () => {
      this.#ears.delete(look)
      if (consumer) this.#tasks.run(() => consumer.close())
    }
  }

  /** Lets a wake-up that is under way arrive, for a moment: a process that ends right after its submit still wakes the leader. */
  readonly close = closeOnce(async () => {
    const sent = new AbortController()
    const tooLong = this.#options.clock.sleep(GRACE_MS, { signal: sent.signal }).then(
      () => {
        this.#closing.abort()
      },
      () => undefined,
    )
    await this.#tasks.settled()
    sent.abort()
    await tooLong
    this.#closing.abort()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #sendAll(): Promise<void> {
    this.#sending = true
    while (this.#next !== undefined && !this.#closing.signal.aborted) {
      const jobId = this.#next
      this.#next = undefined
      await this.#send(jobId)
    }
    this.#sending = false
  }

  async #send(jobId: string): Promise<void> {
    const { orchestrator, logger } = this.#options
    const { signal } = this.#closing
    try {
      await untilAborted(orchestrator.publish(this.#queue, { jobId }, { signal }), signal)
      if (this.#failing) logger.info({}, 'wake-ups travel through the backend again')
      this.#failing = false
    } catch (error) {
      if (!signal.aborted) this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    const { logger, warn } = this.#options
    logger.debug({ err: error }, 'a wake-up was not sent; the sweep finds the job')
    // Full: nobody has looked for a long time, and the next one who does finds all.
    if (isMusterError(error, 'QUEUE_FULL') || this.#failing) return
    this.#failing = true
    const why = error instanceof Error ? error.message : String(error)
    const text = `wake-ups do not get through (${why}): nothing is lost, a job may wait a second longer`
    warn(new MusterError('BACKEND_UNAVAILABLE', text, { cause: error }))
  }
}

/** The outcome, or the signal's reason as soon as it fires: what does not answer holds up nobody who has stopped waiting. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => {
      reject(abortReason(signal))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    stop = () => {
      signal.removeEventListener('abort', onAbort)
    }
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    stop()
  }
}
