/**
 * Which ids are present in a queue. Ids that were made for messages sort by birth, so those stand in an array that is searched by halves: adding
 * and removing cost next to nothing, where a map of strings was a third of what a message costs. All other ids are in a map.
 * Invariant: the array is sorted; what was removed stays in it, emptied, until half of it is such, and is then swept out at once.
 */

/** What is found by its id. */
export interface Indexed {
  readonly id: string
  /** Where it stands; undefined once it was removed. */
  readonly place: unknown
}

const SMALLEST_SWEEP = 1_024

/** The index. */
export class Index<T extends Indexed> {
  readonly #given = new Map<string, T>()
  #born: T[] = []
  #lastBorn = ''
  #gone = 0

  /** How many are present. */
  get size(): number {
    return this.#given.size + this.#born.length - this.#gone
  }

  /** Adds one whose id was made for it (`born`) or given by somebody; whether it is present must have been asked. */
  add(item: T, born: boolean): void {
    // An id that does not sort behind the last one was made by a source of another kind.
    if (!born || item.id <= this.#lastBorn) this.#given.set(item.id, item)
    else {
      this.#born.push(item)
      this.#lastBorn = item.id
    }
  }

  /** The one of that id, if it is present. */
  get(id: string): T | undefined {
    return this.#given.get(id) ?? this.#search(id)
  }

  /** Notes that one was removed: its `place` is undefined from now on. */
  removed(item: T): void {
    if (this.#given.size > 0 && this.#given.get(item.id) === item) return void this.#given.delete(item.id)
    this.#gone++
    if (this.#gone < SMALLEST_SWEEP || this.#gone * 2 < this.#born.length) return
    this.#born = this.#born.filter(({ place }) => place !== undefined)
    this.#gone = 0
  }

  #search(id: string): T | undefined {
    let [low, high] = [0, this.#born.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#born[middle]?.id ?? '') < id) low = middle + 1
      else high = middle
    }
    const found = this.#born[low]
    return found?.id === id && found.place !== undefined ? found : undefined
  }
}
