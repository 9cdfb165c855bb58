/** Quoting, judged by the only authority: a real /bin/sh gets back every byte and runs nothing. */
import { quote } from '@muster/core'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, it } from 'vitest'

/** What a shell makes of the words, as one script. */
function echoed(words: readonly string[]): string[] {
  const script = `printf '%s\\0' ${words.map(quote).join(' ')}`
  return execFileSync('/bin/sh', ['-s'], { input: script, encoding: 'utf8' }).split('\0').slice(0, -1)
}

it('10 hostile words come back byte for byte', () => {
  const words = [
    '$(touch pwned)',
    '`id`',
    '$HOME',
    '!!',
    "'",
    "''",
    `'"'`,
    '"',
    '\\',
    "\\'",
    'a\nb',
    '\n',
    '\t',
    '\r\n',
    '--option',
    '-',
    '*',
    '?',
    '[a]',
    '~',
    '~root',
    '#',
    ';',
    '&',
    '|',
    '<',
    '>',
    '(',
    ')',
    '{',
    '}',
    '{a,b}',
    '=',
    'a=b',
    '%s',
    '\u001b[31m',
    'é',
    '🜁',
    '',
  ]
  expect(echoed(words)).toEqual(words)
})

it('10 any text comes back byte for byte', () => {
  const word = fc
    .string({ unit: 'binary', maxLength: 40 })
    .filter((text) => !text.includes('\0') && text.isWellFormed())
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 30 }), (words) => {
      expect(echoed(words)).toEqual(words)
    }),
    { numRuns: 30 },
  )
})
