/**
 * The line of ready messages: ten levels, each ordered by the number a message drew when it joined, so that one that comes back can
 * take its old place. Invariant: within a level `since` grows with `seq`, so the heads know who has waited longest.
 */
import { Heap, type HeapNode } from './local-heap.js'

/** What stands in the line. */
export interface Waiting extends HeapNode {
  readonly priority: number
  /** When it joined the line, monotonic milliseconds; kept while it is leased. */
  since: number
}

/** The line. */
export class ReadyLine<T extends Waiting> {
  readonly #levels = Array.from({ length: 10 }, () => new Heap<T>())
  #size = 0

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Adds one at the place that its `seq` says. */
  add(message: T): void {
    message.key = message.seq
    this.#level(message.priority).push(message)
    this.#size++
  }

  /** The next, which stays: highest priority, then lowest `seq`. */
  peek(): T | undefined {
    if (this.#size === 0) return undefined
    for (let priority = 9; priority >= 0; priority--) {
      const first = this.#level(priority).peek()
      if (first !== undefined) return first
    }
    return undefined
  }

  /** Takes out one that is in the line. */
  remove(message: T): void {
    this.#level(message.priority).remove(message)
    this.#size--
  }

  /** When the one that waits longest joined; undefined where none waits. */
  oldestSince(): number | undefined {
    const heads = this.#levels.flatMap((level) => level.peek()?.since ?? [])
    return heads.length === 0 ? undefined : Math.min(...heads)
  }

  /** All that wait, in the order in which they would be taken. */
  inOrder(): T[] {
    return this.#levels
      .map((level) => [...level].sort((a, b) => a.seq - b.seq))
      .reverse()
      .flat()
  }

  #level(priority: number): Heap<T> {
    const level = this.#levels[priority]
    if (level === undefined) throw new RangeError(`no such priority: ${priority}`)
    return level
  }
}
