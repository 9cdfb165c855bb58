/** Who wants to know that something changed. Invariant: a listener is called for every change after it was added, until it is removed. */

/** A set of listeners. */
export class Signal<T = void> {
  readonly #listeners = new Set<(value: T) => void>()

  /** Adds a listener; the returned function removes it. */
  on(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Calls all that are there now. */
  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value)
  }
}
