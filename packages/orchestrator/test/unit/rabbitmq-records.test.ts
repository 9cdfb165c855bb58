/** What the registry on RabbitMQ makes of its records, in whatever order and however often they come. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decode, encode, Knowledge, superfluous, type RegistryRecord } from '../../src/backends/rabbitmq/records.js'

/** The value follows from the version, as it does where each version is written once. */
const field = fc
  .record({ n: fc.integer({ min: 0, max: 6 }), by: fc.constantFrom('a', 'b', 'c') })
  .map(({ n, by }) => ({ n, by, value: n % 2 === 0 ? n : n > 3 }))
const record: fc.Arbitrary<RegistryRecord> = fc.record({
  queue: fc.constantFrom('q', 'p', '__proto__'),
  fields: fc.dictionary(fc.constantFrom('limit', 'maxTries', 'paused', 'of a newer version'), field, { maxKeys: 3 }),
})
const records = fc.array(record, { maxLength: 30 })

function learned(all: readonly RegistryRecord[]): Knowledge {
  const knowledge = new Knowledge()
  for (const one of all) knowledge.learn(one)
  return knowledge
}

function entries(knowledge: Knowledge): unknown[] {
  return knowledge.names().map((name) => [name, knowledge.get(name)])
}

test('the same records give the same knowledge, in any order and any number of times', () => {
  const twice = records.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray([...all, ...all], { minLength: 2 * all.length })),
  )
  fc.assert(
    fc.property(twice, ([all, shuffled]) => {
      expect(entries(learned(shuffled))).toEqual(entries(learned(all)))
      expect(learned(all).beyond(learned(shuffled))).toEqual([])
    }),
  )
})

test('what is left when the superfluous has gone says the same, and each of it is needed', () => {
  fc.assert(
    fc.property(records, (all) => {
      const left = all.filter((one) => !superfluous(all).has(one))
      expect(entries(learned(left))).toEqual(entries(learned(all)))
      expect(learned(all).beyond(learned(left))).toEqual([])
      expect(superfluous(left).size).toBe(0)
      // At most one for each field of each queue, or one for its name.
      expect(left.length).toBeLessThanOrEqual(12)
    }),
  )
})

test('what one knows beyond another is what the other lacks to know as much, with the versions that it had', () => {
  fc.assert(
    fc.property(records, records, (mine, yours) => {
      const [me, you] = [learned(mine), learned(yours)]
      const more = me.beyond(you)
      for (const one of more) you.learn(one)
      expect(entries(you)).toEqual(entries(learned([...yours, ...mine])))
      for (const { queue, fields } of more)
        for (const one of Object.values(fields))
          expect(
            mine.some(
              (m) => m.queue === queue && Object.values(m.fields).some((f) => f.n === one.n && f.by === one.by),
            ),
          ).toBe(true)
    }),
  )
})

test('a change is newer than all that was known, even two that were made before either was heard of', () => {
  const knowledge = learned([{ queue: 'q', fields: { limit: { value: 1, n: 40, by: 'z' } } }])
  const changes = [2, 3].map((limit) => knowledge.change('q', { settings: { limit } }, 'a'))
  for (const change of changes.reverse()) if (change) knowledge.learn(change)
  expect(knowledge.get('q')).toEqual({ settings: { limit: 3 }, paused: undefined })
})

test('a change that changes nothing is none; a queue that nobody paused needs no resume', () => {
  const knowledge = learned([{ queue: 'q', fields: { limit: { value: null, n: 1, by: 'a' } } }])
  expect(knowledge.change('q', { settings: { limit: null }, paused: false }, 'b')).toBeUndefined()
  expect(knowledge.change('q', { paused: true }, 'b')).toEqual({
    queue: 'q',
    fields: { paused: { value: true, n: 2, by: 'b' } },
  })
  expect(knowledge.change('new', {}, 'b')).toEqual({ queue: 'new', fields: {} })
})

test('records travel as they are, and what is none is left alone', () => {
  fc.assert(
    fc.property(record, (one) => {
      expect(decode(encode(one))).toEqual(one)
    }),
  )
  const none = ['', '{', 'null', '[]', '{"queue":1,"fields":{}}', '{"queue":"q"}', '{"queue":"q","fields":null}']
  const wrong = [{ n: 1 }, { by: 'a' }, { n: 1.5, by: 'a' }, { n: -1, by: 'a' }, null, 7].map((limit) =>
    JSON.stringify({ queue: 'q', fields: { limit } }),
  )
  expect([...none, ...wrong].map((text) => decode(Buffer.from(text)))).toEqual([...none, ...wrong].map(() => undefined))
})
