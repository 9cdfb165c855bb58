/** Work under one name takes turns within this process: whoever comes second finds what the first has brought. */

/** Runs pieces of work one after another by name, side by side across names. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /** Runs `work` when everything asked for under `name` before it has ended, well or badly. */
  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const running = before.then(work)
    const ended = running.then(
      () => undefined,
      () => undefined,
    )
    this.#last.set(name, ended)
    try {
      return await running
    } finally {
      if (this.#last.get(name) === ended) this.#last.delete(name)
    }
  }
}
