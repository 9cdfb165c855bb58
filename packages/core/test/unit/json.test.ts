/** Canonical JSON: equal requests give equal text, different ones do not. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { canonicalJson } from '../../src/json.js'

it('does not depend on the order of keys, at any depth', () => {
  expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: 1 })).toBe('{"a":1,"b":[{"c":2,"d":1}]}')
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse())
      expect(canonicalJson(reversed)).toBe(canonicalJson(value))
    }),
  )
})

it('loses nothing', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

it('keeps a key named __proto__ as a key', () => {
  const hostile: unknown = JSON.parse('{"b":1,"__proto__":{"polluted":true}}')
  expect(canonicalJson(hostile)).toBe('{"__proto__":{"polluted":true},"b":1}')
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})

it('leaves out absent members and keeps null', () => {
  expect(canonicalJson({ a: undefined, b: null })).toBe('{"b":null}')
})
