/**
 * Reads on their way to the reading thread. What is asked in one turn, or while two messages are under way, leaves as one:
 * each message wakes a thread, which costs more than most reads do.
 *
 * Invariant: reads are run in the order asked, and each has its own rows or its own error.
 */
import type { Row } from './rows.js'
import type { Read } from './sqlite-messages.js'
import { asError, type DatabaseThread } from './sqlite-worker.js'

const GROUP = 100
const WINDOW = 2

interface Waiting {
  readonly read: Read
  resolve(rows: readonly Row[]): void
  reject(error: unknown): void
}

/** The reads of one file. */
export class ReadLine {
  readonly #thread: DatabaseThread
  readonly #queue: Waiting[] = []
  #scheduled = false

  constructor(thread: DatabaseThread) {
    this.#thread = thread
  }

  /** Resolves with the rows; rejects with what the read threw. */
  ask(read: Read): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ read, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.#flush()
      })
    })
  }

  /** Resolves when all that was asked before is answered. */
  async drained(): Promise<void> {
    if (this.#queue.length > 0) await this.ask(['epoch']).catch(() => undefined)
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#thread.outstanding < WINDOW) void this.#send(this.#queue.splice(0, GROUP))
  }

  async #send(group: readonly Waiting[]): Promise<void> {
    try {
      const response = await this.#thread.request({ reads: group.map(({ read }) => read) })
      if (!('answers' in response)) throw asError(response)
      response.answers.forEach((answer, index) => {
        if (Array.isArray(answer)) group[index]?.resolve(answer as readonly Row[])
        else group[index]?.reject(asError(answer as object))
      })
    } catch (error) {
      for (const { reject } of group) reject(error)
    } finally {
      this.#flush()
    }
  }
}
