/** Requests that share a round trip: pure, with round trips that end when the test says so. */
import { systemClock } from '@muster/core'
import { expect, test } from 'vitest'
import { gather } from '../../src/launch/gather.js'

interface Trip {
  readonly items: readonly string[]
  answer(): void
  fail(error: Error): void
}

/** A gatherer of words, and the round trips it made. An item weighs as much as it has letters. */
function words(patienceMs: number): { ask: (word: string) => Promise<string>; trips: Trip[] } {
  const trips: Trip[] = []
  const ask = gather<string, string>({
    ask: (items) =>
      new Promise((resolve, reject) => {
        const answer = (): void => {
          resolve(items.map((item) => item.toUpperCase()))
        }
        trips.push({ items, answer, fail: reject })
      }),
    size: (item) => item.length,
    ...{ room: 6, most: 3, patienceMs, clock: systemClock },
  })
  return { ask, trips }
}
const contents = (trips: readonly Trip[]): (readonly string[])[] => trips.map(({ items }) => items)

test('the first goes at once, what comes meanwhile goes together, each gets its own answer', async () => {
  const { ask, trips } = words(60_000)
  const answers = ['a', 'b', 'c'].map((word) => ask(word))
  expect(contents(trips)).toEqual([['a']])
  trips[0]?.answer()
  await expect(answers[0]).resolves.toBe('A')
  await expect.poll(() => contents(trips)).toEqual([['a'], ['b', 'c']])
  trips[1]?.answer()
  await expect(Promise.all(answers)).resolves.toEqual(['A', 'B', 'C'])
})

test('a round trip holds so many and so much; what is larger goes alone', async () => {
  const { ask, trips } = words(60_000)
  const asked = ['x', 'a', 'b', 'c', 'd', 'much too long', 'ee', 'fff'].map((word) => ask(word))
  for (let seen = 0; seen < 5; seen += 1) {
    await expect.poll(() => trips.length).toBeGreaterThan(seen)
    trips[seen]?.answer()
  }
  await Promise.all(asked)
  expect(contents(trips)).toEqual([['x'], ['a', 'b', 'c'], ['d'], ['much too long'], ['ee', 'fff']])
})

test('one that is stuck holds up the others for a moment only', async () => {
  const { ask, trips } = words(10)
  void ask('stuck')
  const other = ask('other')
  await expect.poll(() => contents(trips)).toEqual([['stuck'], ['other']])
  trips[1]?.answer()
  await expect(other).resolves.toBe('OTHER')
})

test('a failure is everybody’s who shared the round trip, and nobody else’s', async () => {
  const { ask, trips } = words(60_000)
  const asked = ['a', 'b', 'c'].map((word) => ask(word))
  const settled = Promise.allSettled(asked)
  trips[0]?.answer()
  await expect.poll(() => trips.length).toBe(2)
  trips[1]?.fail(new Error('lost'))
  expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
  const again = ask('d')
  await expect.poll(() => trips.length).toBe(3)
  trips[2]?.answer()
  await expect(again).resolves.toBe('D')
})
