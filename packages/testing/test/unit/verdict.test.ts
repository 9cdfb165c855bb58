/** The judge of histories, held to histories whose truth is known: what it lets pass, no soak would ever find. */
import { expect, test } from 'vitest'
import type { Entry } from '../../src/queue-history/journal.js'
import { judge, type Outside, type Verdict } from '../../src/queue-history/verdict.js'

const ID = 'm'
const calm: Outside = { names: [], faults: [], dead: new Set(), copies: false }

const publish = (at: number, id = ID): Entry[] => [
  { is: 'publishing', ids: [id], delays: [0], at },
  { is: 'accepted', ids: [id], at: at + 1 },
]
const take = (delivery: string, at: number, until: number, tries = 0): Entry => {
  return { is: 'received', delivery, id: ID, tries, crashes: 0, at, until }
}
const settling = (delivery: string, at: number, as: 'ack' | 'retry' = 'ack'): Entry => {
  return { is: 'settling', delivery, id: ID, as, at }
}
const settled = (
  delivery: string,
  at: number,
  outcome: 'settled' | 'lease-lost' | 'unconfirmed' = 'settled',
  as: 'ack' | 'retry' = 'ack',
): Entry => ({ is: 'settled', delivery, id: ID, as, outcome, at })
const ack = (delivery: string, at: number): Entry[] => [settling(delivery, at), settled(delivery, at + 1)]

const found = ({ lost, duplicates, problems }: Verdict): object => ({ lost, duplicates, problems: problems.length })
const nothing = { lost: [], duplicates: 0, problems: 0 }

test('published, received and acknowledged: nothing is wrong', () => {
  const verdict = judge([...publish(0), take('a', 2, 100), ...ack('a', 5)], calm)
  expect(found(verdict)).toEqual(nothing)
  expect(verdict.figures).toEqual({ accepted: 1, received: 1, acked: 1, unknown: 0, dead: 0 })
})

test('lost is what was accepted and of which nothing was heard again, and its story is told', () => {
  const verdict = judge([...publish(0), ...publish(0, 'other'), take('a', 2, 100)], {
    ...calm,
    dead: new Set(['other']),
  })
  expect(found(verdict)).toEqual({ ...nothing, lost: [ID] })
  expect(verdict.stories.join('\n')).toMatch(/^m:\n.*publishing.*\n.*accepted.*\n.*received by a/)
})

test('what was published and never accepted is not lost', () => {
  expect(found(judge(publish(0).slice(0, 1), calm))).toEqual(nothing)
})

test('an acknowledgement that was refused counts for nothing', () => {
  const entries = [...publish(0), take('a', 2, 100), settling('a', 200), settled('a', 201, 'lease-lost')]
  expect(found(judge(entries, calm))).toEqual({ ...nothing, lost: [ID] })
})

test.each([
  ['its answer never came', [settling('a', 5)]],
  ['nobody could say', [settling('a', 5), settled('a', 6, 'unconfirmed')]],
])('an acknowledgement of which %s may have been one', (_, end) => {
  const verdict = judge([...publish(0), take('a', 2, 100), ...end], calm)
  expect(found(verdict)).toEqual(nothing)
  expect(verdict.figures.unknown).toBe(1)
})

test('what is handed out after it was acknowledged is a duplicate, unless its lease was over when it was found', () => {
  const before = [...publish(0), take('a', 2, 100), ...ack('a', 5)]
  expect(found(judge([...before, take('b', 20, 100)], calm))).toEqual({ ...nothing, duplicates: 1 })
  expect(found(judge([...before, take('b', 20, 19)], calm))).toEqual(nothing)
  expect(found(judge([...before, take('b', 20, 100), ...ack('b', 25)], calm))).toMatchObject({ duplicates: 1 })
})

test('two copies that were both acknowledged are a duplicate, also where both were out before', () => {
  const fault = { names: ['cut'], faults: [[0, 10]] as const, copies: true }
  const entries = [...publish(0), take('a', 12, 100), take('b', 13, 100), ...ack('a', 15), ...ack('b', 16)]
  expect(found(judge(entries, { ...calm, ...fault }))).toEqual({ ...nothing, duplicates: 1 })
})

test('what nobody published, and what an actor says must not be, are problems', () => {
  expect(found(judge([take('a', 2, 100), ...ack('a', 5)], calm))).toEqual({ ...nothing, problems: 1 })
  const wrong: Entry = { is: 'wrong', what: 'an old receipt settled something' }
  expect(judge([wrong], calm).problems).toEqual(['an old receipt settled something'])
})

test('more tries than retries are a problem', () => {
  const again = [settling('a', 3, 'retry'), settled('a', 4, 'settled', 'retry')]
  const first = [...publish(0), take('a', 2, 100)]
  const second = [take('b', 101, 200, 1), ...ack('b', 105)]
  expect(found(judge([...first, ...again, ...second], calm))).toEqual(nothing)
  expect(found(judge([...first, ...second], calm))).toEqual({ ...nothing, problems: 1 })
  // A retry that came later does not count.
  expect(found(judge([...first, ...second, settling('b', 103, 'retry')], calm))).toEqual({ ...nothing, problems: 1 })
})

test('two holders at once are a problem where nothing was broken', () => {
  const extended: Entry = { is: 'extended', delivery: 'a', at: 50, until: 5 }
  const twice = [...publish(0), take('a', 2, 100), take('b', 60, 200), ...ack('b', 65)]
  expect(found(judge(twice, calm))).toEqual({ ...nothing, problems: 1 })
  // Its lease was brought nearer, or it was being settled, or had passed.
  expect(found(judge([...twice, extended], calm))).toEqual(nothing)
  expect(found(judge([...twice, settling('a', 55, 'retry')], calm))).toEqual(nothing)
  expect(found(judge([...publish(0), take('a', 2, 50), take('b', 60, 200), ...ack('b', 65)], calm))).toEqual(nothing)
})

test('a fault excuses two holders only in its time, and longer only where it may leave two copies', () => {
  const twice = (at: number): Entry[] => {
    return [...publish(at), take('a', at + 2, at + 9_000), take('b', at + 60, at + 9_000), ...ack('b', at + 65)]
  }
  const fault = { names: ['cut'], faults: [[10_000, 10_001]] as const }
  const problems = (at: number, copies: boolean): number =>
    judge(twice(at), { ...calm, ...fault, copies }).problems.length
  expect([problems(9_990, false), problems(11_000, false)]).toEqual([0, 0])
  expect([problems(1_000, false), problems(13_000, false)]).toEqual([1, 1])
  expect([problems(1_000, true), problems(13_000, true)]).toEqual([1, 1])
  const late = [...publish(9_000), take('a', 20_000, 29_000), take('b', 20_060, 29_000), ...ack('b', 20_065)]
  const after = (copies: boolean): number => judge(late, { ...calm, ...fault, copies }).problems.length
  expect([after(false), after(true)]).toEqual([1, 0])
})
