/**
 * Requests that come together share one round trip. The first goes at once; those that come while one is under way wait for its end
 * and then go together. They do not wait long: one that is stuck holds up nobody for more than a moment. Invariant: each item is in exactly one round trip, and learns what became of it.
 */
import type { Clock } from '@muster/core'

/** How many share a round trip, and what it does. */
export interface Gathering<T, R> {
  /** Asks about all of them; answers in the order asked. */
  ask(items: readonly T[]): Promise<readonly R[]>
  /** What an item adds to a round trip, in the unit of `room`. One that is larger goes alone. */
  size(item: T): number
  readonly room: number
  readonly most: number
  /** How long an item waits for a round trip that is under way, milliseconds. */
  readonly patienceMs: number
  readonly clock: Clock
}

interface Waiting<T, R> {
  readonly item: T
  resolve(answer: R): void
  reject(error: unknown): void
}

/** See the head of this file. The function takes one item and gives its answer. */
export function gather<T, R>(gathering: Gathering<T, R>): (item: T) => Promise<R> {
  const { clock, patienceMs } = gathering
  const waiting: Waiting<T, R>[] = []
  let underWay = 0
  let forget: (() => void) | undefined
  const send = (): void => {
    forget?.()
    forget = undefined
    if (waiting.length === 0) return
    const taken = waiting.splice(0, fitting(waiting, gathering))
    underWay += 1
    void settle(taken, gathering).finally(() => {
      underWay -= 1
      send()
    })
    expect()
  }
  const expect = (): void => {
    if (underWay === 0) send()
    else if (waiting.length > 0) forget ??= clock.after(patienceMs, send)
  }
  return (item) =>
    new Promise<R>((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      expect()
    })
}

/** How many of the first fit into one round trip: at least one. */
function fitting<T, R>(waiting: readonly Waiting<T, R>[], { size, room, most }: Gathering<T, R>): number {
  let count = 0
  let taken = 0
  for (const { item } of waiting) {
    taken += size(item)
    if (count > 0 && (taken > room || count === most)) break
    count += 1
  }
  return count
}

async function settle<T, R>(taken: readonly Waiting<T, R>[], { ask }: Gathering<T, R>): Promise<void> {
  try {
    const answers = await ask(taken.map(({ item }) => item))
    for (const [index, { resolve }] of taken.entries()) resolve(answers[index] as R)
  } catch (error) {
    for (const { reject } of taken) reject(error)
  }
}
