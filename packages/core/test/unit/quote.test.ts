/** Quoting, without a shell; the integration test asks a real one. */
import { expect, it } from 'vitest'
import { quote } from '../../src/quote.js'

it.each([
  ['plain', 'plain'],
  ['', "''"],
  ['two words', "'two words'"],
  ["it's", `'it'\\''s'`],
  ['$(id)', "'$(id)'"],
  ['~root', "'~root'"],
  ['a\nb', "'a\nb'"],
])('quotes %j', (text, quoted) => {
  expect(quote(text)).toBe(quoted)
})

it('refuses a NUL byte, which no command can be given', () => {
  expect(() => quote('a\0b')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})
