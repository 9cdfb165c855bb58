/** Lifecycle of what is opened and closed: close runs once, is awaited by all, and tolerates any order of calls. */

/** What is opened must be closed; twice is once; `await using` works. */
export interface Closable {
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Wraps a teardown so that it runs once and every caller awaits that one run. */
export function closeOnce(teardown: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined
  return () => (closing ??= teardown())
}

/**
 * A set of background tasks that close() can wait for. A task that throws is reported to `onError` and forgotten,
 * so that no promise floats and no rejection is lost.
 */
export class TaskGroup {
  readonly #tasks = new Set<Promise<void>>()
  readonly #onError: (error: unknown) => void

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** How many tasks are under way. */
  get size(): number {
    return this.#tasks.size
  }

  /** Starts a task in the background. */
  run(task: () => Promise<void>): void {
    const running = task()
      .catch(this.#onError)
      .finally(() => this.#tasks.delete(running))
    this.#tasks.add(running)
  }

  /** Resolves when all tasks have ended, those started meanwhile included. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }
}
