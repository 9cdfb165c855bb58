/** The heap, against a sorted array, for random pushes, pops and removals from the middle. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap, type HeapNode } from '../../src/backends/local-heap.js'

const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('push' as const), key: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pop' as const), key: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), key: fc.nat(1_000) }) },
)

test('the heap gives what a sorted array gives, whatever leaves from the middle', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
      const heap = new Heap<HeapNode>()
      const model: HeapNode[] = []
      commands.forEach(({ kind, key }, seq) => {
        if (kind === 'push') {
          const node = { key, seq, index: -1 }
          heap.push(node)
          model.push(node)
          model.sort((a, b) => a.key - b.key || a.seq - b.seq)
        } else {
          const node = kind === 'pop' ? model[0] : model[key % (model.length || 1)]
          if (node === undefined) return
          heap.remove(node)
          model.splice(model.indexOf(node), 1)
          expect(node.index).toBe(-1)
        }
        expect(heap.peek()).toBe(model[0])
        expect(heap.size).toBe(model.length)
      })
      expect(new Set(heap)).toEqual(new Set(model))
    }),
  )
})
