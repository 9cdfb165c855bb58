/**
 * A binary heap whose nodes know their position, so that one can leave from the middle in O(log n): a settled lease, a cleaned message.
 * Invariant: `nodes[node.index] === node`, and a node is in at most one heap at a time.
 */

/** What a heap orders: by `key`, then by `seq`, smallest first. Neither may change while the node is in a heap. */
export interface HeapNode {
  key: number
  seq: number
  /** Owned by the heap; -1 while in none. */
  index: number
}

/** The heap. */
export class Heap<T extends HeapNode> implements Iterable<T> {
  readonly #nodes: T[] = []

  /** How many nodes are in it. */
  get size(): number {
    return this.#nodes.length
  }

  /** The smallest, which stays. */
  peek(): T | undefined {
    return this.#nodes[0]
  }

  /** Adds a node. */
  push(node: T): void {
    this.#nodes.push(node)
    this.#rise(node, this.#nodes.length - 1)
  }

  /** Takes the smallest. */
  pop(): T | undefined {
    const first = this.#nodes[0]
    if (first) this.remove(first)
    return first
  }

  /** Takes out a node that is in this heap. */
  remove(node: T): void {
    const { index } = node
    const last = this.#nodes.pop()
    node.index = -1
    if (last === undefined || last === node) return
    // The last node fills the hole; it may belong above or below.
    this.#rise(last, index)
    this.#sink(last, last.index)
  }

  /** All nodes, in no particular order. */
  [Symbol.iterator](): Iterator<T> {
    return this.#nodes[Symbol.iterator]()
  }

  #rise(node: T, from: number): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#nodes[above]
      if (parent === undefined || !before(node, parent)) break
      this.#place(parent, at)
      at = above
    }
    this.#place(node, at)
  }

  #sink(node: T, from: number): void {
    let at = from
    for (;;) {
      const left = this.#nodes[2 * at + 1]
      const right = this.#nodes[2 * at + 2]
      const child = left && right && before(right, left) ? right : left
      if (child === undefined || !before(child, node)) break
      const next = child.index
      this.#place(child, at)
      at = next
    }
    this.#place(node, at)
  }

  #place(node: T, index: number): void {
    this.#nodes[index] = node
    node.index = index
  }
}

function before(a: HeapNode, b: HeapNode): boolean {
  return a.key < b.key || (a.key === b.key && a.seq < b.seq)
}
