/** The index and the line of the local backend against plain models: whatever comes and goes, they find and order the same. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Index } from '../../src/backends/local-index.js'
import { Line, type Waiting } from '../../src/backends/local-line.js'

interface Item {
  readonly id: string
  place: 'here' | undefined
}

const step = fc.oneof(
  fc.record({ do: fc.constant('born' as const), n: fc.nat(50) }),
  fc.record({ do: fc.constant('given' as const), n: fc.nat(3_000) }),
  fc.record({ do: fc.constant('remove' as const), n: fc.nat(10_000) }),
  fc.record({ do: fc.constant('remove many' as const), n: fc.nat(2_000) }),
  fc.record({ do: fc.constant('add many' as const), n: fc.nat(2_000) }),
)

test('an index finds exactly what is present, however its ids came about', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const [index, model] = [new Index<Item>(), new Map<string, Item>()]
      let born = 0
      const name = (n: number): string => String(n).padStart(8, '0')
      const add = (id: string, isBorn: boolean): void => {
        expect(index.get(id)).toBe(model.get(id))
        if (model.has(id)) return
        const item: Item = { id, place: 'here' }
        index.add(item, isBorn)
        model.set(id, item)
      }
      const remove = (n: number): void => {
        const item = [...model.values()][n % Math.max(1, model.size)]
        if (!item) return
        item.place = undefined
        model.delete(item.id)
        index.removed(item)
        expect(index.get(item.id)).toBeUndefined()
      }
      for (const { do: what, n } of steps) {
        // Born ids now and then do not sort behind the last: a source of another kind.
        if (what === 'born') add(name(born++ - (n > 45 ? 3 : 0)), true)
        else if (what === 'given') add(name(n), false)
        else if (what === 'add many') for (let i = 0; i < n; i++) add(name((born += 2)), true)
        else if (what === 'remove') remove(n)
        else for (let i = 0; i < n; i++) remove(0)
        expect(index.size).toBe(model.size)
      }
      for (const [id, item] of model) expect(index.get(id)).toBe(item)
    }),
    { numRuns: 60 },
  )
})

test('a line gives what it holds in order, whatever order it came in and whatever left from its middle', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.boolean(), fc.nat(100)), { maxLength: 200 }), (steps) => {
      const [line, model] = [new Line<Waiting>(), [] as Waiting[]]
      let seq = 0
      for (const [key, leaves, which] of steps) {
        if (leaves && model.length > 0) {
          const [gone] = model.splice(which % model.length, 1)
          if (gone) line.remove(gone)
        } else {
          const node: Waiting = {
            key,
            seq: ++seq,
            index: -1,
            priority: 5,
            since: 0,
            before: undefined,
            after: undefined,
          }
          line.add(node)
          model.push(node)
          model.sort((a, b) => a.key - b.key || a.seq - b.seq)
        }
        expect(line.size).toBe(model.length)
        expect(line.peek()).toBe(model[0])
      }
      expect(line.inOrder()).toEqual(model)
    }),
  )
})
