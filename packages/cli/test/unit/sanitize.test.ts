import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sanitize } from '../../src/render/sanitize.js'

const ESC = '\u001b'

test.each([
  ['plain text with ümläuts, 漢字 and a\ttab', 'plain text with ümläuts, 漢字 and a\ttab'],
  [`${ESC}[31mred${ESC}[0m`, 'red'],
  [`${ESC}[2J${ESC}[1;1Hhome`, 'home'],
  [`${ESC}]0;title\u0007after`, 'after'],
  [`${ESC}]8;;http://evil${ESC}\\link`, 'link'],
  [`${ESC}Pq#0;2;0;0;0${ESC}\\sixel`, 'sixel'],
  [`${ESC}]unterminated to the end`, ''],
  ['\u009b31mcsi', 'csi'],
  [`${ESC}cfull reset`, 'full reset'],
  [`${ESC}(0charset`, 'charset'],
  ['bell\u0007 back\u0008space', 'bell backspace'],
  ['10 %\r50 %\r100 %', '100 %'],
  ['windows\r', 'windows'],
])('%j', (line, shown) => {
  expect(sanitize(line, false)).toBe(shown)
})

test('colours stay where they are wanted, and end with the line', () => {
  expect(sanitize(`${ESC}[1;31mred${ESC}[2K`, true)).toBe(`${ESC}[1;31mred${ESC}[0m`)
  expect(sanitize('plain', true)).toBe('plain')
})

test('whatever comes in, only colours come out', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (line, colour) => {
      const shown = sanitize(line, colour).replaceAll(/\u001b\[[0-9;:]*m/g, '')
      expect(shown).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/)
    }),
    { numRuns: 1_000 },
  )
})
