/**
 * Lines of messages. Most join at the end of theirs, which is then a linked list: joining, being first and leaving cost the same however
 * long it is. One that belongs before the end (it comes back to its old place, or falls due earlier) waits in a heap beside it.
 * Invariants: the list is ordered; a message is in the heap exactly if its `index` is not -1; a message is in at most one line.
 */
import { Heap, type HeapNode } from './local-heap.js'

/** What stands in a line, ordered by `key`, then `seq`. */
export interface Waiting extends HeapNode {
  readonly priority: number
  /** When it joined the line of ready messages, monotonic milliseconds; kept while it is leased. */
  since: number
  /** Its neighbours in the list; owned by the line. */
  before: Waiting | undefined
  after: Waiting | undefined
}

/** A line. */
export class Line<T extends Waiting> implements Iterable<T> {
  readonly #early = new Heap<T>()
  #first: T | undefined
  #last: T | undefined
  #size = 0

  /** How many stand in it. */
  get size(): number {
    return this.#size
  }

  /** Adds one at the place that its `key` and `seq` say. */
  add(node: T): void {
    this.#size++
    const last = this.#last
    if (last !== undefined && precedes(node, last)) return this.#early.push(node)
    node.before = last
    if (last === undefined) this.#first = node
    else last.after = node
    this.#last = node
  }

  /** The first, which stays. */
  peek(): T | undefined {
    const early = this.#early.peek()
    if (early === undefined || (this.#first !== undefined && precedes(this.#first, early))) return this.#first
    return early
  }

  /** Takes out one that is in this line. */
  remove(node: T): void {
    this.#size--
    if (node.index !== -1) return this.#early.remove(node)
    const { before, after } = node
    if (before === undefined) this.#first = after as T | undefined
    else before.after = after
    if (after === undefined) this.#last = before as T | undefined
    else after.before = before
    node.before = node.after = undefined
  }

  /** All that stand in it, in no particular order. */
  *[Symbol.iterator](): Iterator<T> {
    yield* this.#early
    for (let node = this.#first; node !== undefined; node = node.after as T | undefined) yield node
  }

  /** All that stand in it, in order. */
  inOrder(): T[] {
    return [...this].sort((a, b) => a.key - b.key || a.seq - b.seq)
  }
}

/** The line of ready messages: ten levels, each ordered by the number a message drew when it joined. */
export class ReadyLine<T extends Waiting> {
  readonly #levels = Array.from({ length: 10 }, () => new Line<T>())
  /** A bit for each level that is not empty, so that the highest is found without looking at all. */
  #occupied = 0
  #size = 0

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Adds one at the place that its `seq` says. */
  add(message: T): void {
    message.key = message.seq
    this.#level(message.priority).add(message)
    this.#occupied |= 1 << message.priority
    this.#size++
  }

  /** The next, which stays: highest priority, then lowest `seq`. */
  peek(): T | undefined {
    return this.#occupied === 0 ? undefined : this.#level(31 - Math.clz32(this.#occupied)).peek()
  }

  /** Takes out one that is in the line. */
  remove(message: T): void {
    const level = this.#level(message.priority)
    level.remove(message)
    if (level.size === 0) this.#occupied &= ~(1 << message.priority)
    this.#size--
  }

  /** When the one that waits longest joined; undefined where none waits. Within a level `since` grows with `seq`. */
  oldestSince(): number | undefined {
    const heads = this.#levels.flatMap((level) => level.peek()?.since ?? [])
    return heads.length === 0 ? undefined : Math.min(...heads)
  }

  /** All that wait, in the order in which they would be taken. */
  inOrder(): T[] {
    return this.#levels
      .map((level) => level.inOrder())
      .reverse()
      .flat()
  }

  #level(priority: number): Line<T> {
    const level = this.#levels[priority]
    if (level === undefined) throw new RangeError(`no such priority: ${priority}`)
    return level
  }
}

function precedes(a: HeapNode, b: HeapNode): boolean {
  return a.key < b.key || (a.key === b.key && a.seq < b.seq)
}
