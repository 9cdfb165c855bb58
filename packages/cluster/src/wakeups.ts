/**
 * Wake-ups: messages that say "look at this job". They carry no state: the record is the waiting set and is swept anyway, so a
 * wake-up that is lost, late, doubled or refused costs at most a second and never a job (P4).
 */
import { closeOnce, TaskGroup, type Closable, type Logger } from '@muster/core'
import type { Orchestrator } from '@muster/orchestrator'

/** Sends and hears wake-ups. */
export class WakeUps implements Closable {
  readonly #orchestrator: Orchestrator
  readonly #consumers = new Map<string, Closable>()
  readonly #tasks: TaskGroup

  constructor(orchestrator: Orchestrator, logger: Logger) {
    this.#orchestrator = orchestrator
    this.#tasks = new TaskGroup((error) => {
      logger.debug({ err: error }, 'a wake-up was not sent; the sweep finds the job')
    })
  }

  /** Sends one for each job where anybody could hear it. Returns at once. */
  send(ready: readonly { readonly id: string; readonly queue: string }[]): void {
    for (const { id, queue } of ready) {
      if (!this.#orchestrator.capabilities.shared && !this.#consumers.has(queue)) continue
      this.#tasks.run(async () => {
        await this.#orchestrator.publish(queue, { jobId: id })
      })
    }
  }

  /** Calls back for every wake-up of the queue, once per queue however often it is asked. */
  hear(queue: string, look: () => void): void {
    if (this.#consumers.has(queue)) return
    // Acknowledged as soon as it was heard: the row it points to is read by the sweep that follows.
    const consumer = this.#orchestrator.consume(queue, look, { concurrency: 64, keepAlive: false })
    this.#consumers.set(queue, consumer)
  }

  readonly close = closeOnce(async () => {
    await this.#tasks.settled()
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.close()))
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
