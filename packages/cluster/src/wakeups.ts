/**
 * Wake-ups: messages that say "look at this job". They carry no state: the record is the waiting set and is swept anyway, so a
 * wake-up that is lost, late, doubled or refused costs at most a second and never a job (P4).
 */
import { TaskGroup, type Logger } from '@muster/core'
import type { Orchestrator } from '@muster/orchestrator'

/** Sends and hears wake-ups. */
export class WakeUps {
  readonly #orchestrator: Orchestrator
  readonly #heard = new Set<string>()
  readonly #logger: Logger
  readonly #tasks: TaskGroup

  constructor(orchestrator: Orchestrator, logger: Logger) {
    this.#orchestrator = orchestrator
    this.#logger = logger
    this.#tasks = new TaskGroup((error) => {
      logger.debug({ err: error }, 'a wake-up was not sent; the sweep finds the job')
    })
  }

  /** Sends one for each job. Returns at once. */
  send(ready: readonly { readonly id: string; readonly queue: string }[]): void {
    for (const { id, queue } of ready)
      this.#tasks.run(async () => void (await this.#orchestrator.publish(queue, { jobId: id })))
  }

  /** Calls back for every wake-up of the queue, once per queue however often it is asked. */
  hear(queue: string, look: () => void): void {
    if (this.#heard.has(queue)) return
    this.#heard.add(queue)
    this.#tasks.run(async () => {
      // Acknowledged as soon as it was heard: the row it points to is read by the sweep that follows.
      await this.#orchestrator.consume(
        queue,
        async () => {
          look()
        },
        { concurrency: 64 },
      )
      this.#logger.debug({ queue }, 'listening for wake-ups')
    })
  }

  /** Waits for what is being sent. The orchestrator's close ends the consumers. */
  settled(): Promise<void> {
    return this.#tasks.settled()
  }
}
