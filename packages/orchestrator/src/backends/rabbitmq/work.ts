/**
 * Calls under way: the backend waits for them when it closes, and only they keep the process alive. Invariant: a call is counted from its
 * first to its last step, whatever it ends with.
 */
import { MessageChannel } from 'node:worker_threads'

/** Counts calls. */
export class Work {
  readonly #calls = new Set<Promise<unknown>>()
  /** Our sockets and timers do not hold the process; this port does while somebody needs an answer. */
  readonly #ports = new MessageChannel()
  #holding = 0

  constructor() {
    this.#ports.port1.on('message', () => undefined)
    this.#ports.port1.unref()
  }

  /** Carries a call out. */
  async run<T>(call: () => Promise<T>, keepAlive = true): Promise<T> {
    if (keepAlive && ++this.#holding === 1) this.#ports.port1.ref()
    const running = call()
    this.#calls.add(running)
    try {
      return await running
    } finally {
      this.#calls.delete(running)
      if (keepAlive && --this.#holding === 0) this.#ports.port1.unref()
    }
  }

  /** Keeps the process alive meanwhile, without being a call. */
  async hold<T>(task: () => Promise<T>): Promise<T> {
    if (++this.#holding === 1) this.#ports.port1.ref()
    try {
      return await task()
    } finally {
      if (--this.#holding === 0) this.#ports.port1.unref()
    }
  }

  /** Resolves when all calls have ended, well or not. */
  async settled(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls)
  }

  /** Ends the holding. */
  close(): void {
    this.#ports.port1.close()
  }
}
