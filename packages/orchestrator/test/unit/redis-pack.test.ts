/** What we send to scripts and read from them: bytes as MessagePack says. */
import { expect, test } from 'vitest'
import { pack, unpackTexts } from '../../src/backends/redis/pack.js'

test('texts and bytes of any length, as MessagePack writes them', () => {
  expect(pack([])).toEqual(Buffer.from('dd00000000', 'hex'))
  expect(pack(['a', Buffer.of(0, 255)])).toEqual(Buffer.from('dd00000002d90161d90200ff', 'hex'))
  expect(pack([[], ['ü']])).toEqual(Buffer.from('dd00000002dd00000000dd00000001d902c3bc', 'hex'))
  expect(pack(Buffer.alloc(256, 1))).toEqual(Buffer.concat([Buffer.from('db00000100', 'hex'), Buffer.alloc(256, 1)]))
  expect(pack('x'.repeat(100))).toEqual(Buffer.concat([Buffer.from('db00000064', 'hex'), Buffer.from('x'.repeat(100))]))
})

test.each([[0], [1], [15], [16], [70_000]])('an array of %d texts comes back', (count) => {
  const texts = Array.from({ length: count }, (_, n) => 'ü'.repeat(n % 40) + String(n))
  expect(unpackTexts(pack(texts))).toEqual(texts)
})

test('arrays and texts in the short forms that a server chooses', () => {
  const list = Buffer.concat([Buffer.of(0x93, 0xa1, 0x61, 0xd9, 1, 0x62, 0xda, 0, 1, 0x63)])
  expect(unpackTexts(list)).toEqual(['a', 'b', 'c'])
  const many = Buffer.concat([Buffer.of(0xdc, 0, 2), Buffer.of(0xa0), Buffer.of(0xdb, 0, 0, 0, 1, 0x64)])
  expect(unpackTexts(many)).toEqual(['', 'd'])
})
