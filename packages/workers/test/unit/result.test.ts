import { describe, expect, test } from 'vitest'
import { parseResult } from '../../src/result.js'

describe('what a job leaves as its result', () => {
  test.each([
    ['{"loss": 0.1, "epochs": [1, 2]}', { loss: 0.1, epochs: [1, 2] }],
    ['"[[[[ is text"', '[[[[ is text'],
    ['  7\n', 7],
    ['null', null],
    ['', undefined],
    ['\n', undefined],
  ])('%j', (text, value) => expect(parseResult(Buffer.from(text))).toEqual(value))

  test('no file, no result', () => expect(parseResult(undefined)).toBe(undefined))

  test.each([
    ['not JSON', Buffer.from('{oops')],
    ['two values', Buffer.from('1 2')],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['too deep', Buffer.from('['.repeat(201) + ']'.repeat(201))],
    ['brackets without end', Buffer.alloc(1_048_576, '[')],
    ['too large', Buffer.alloc(64 * 1_048_576 + 1, ' ')],
    ['a prototype', Buffer.from('{"a": [{"__proto__": {"admin": true}}]}')],
    ['a disguised prototype', Buffer.from(String.raw`{"\u005f_proto__": 1}`)],
  ])('RESULT_INVALID: %s', (_, bytes) =>
    expect(() => parseResult(bytes)).toThrow(expect.objectContaining({ code: 'RESULT_INVALID' }) as Error),
  )

  test('200 levels are read', () =>
    expect(parseResult(Buffer.from('['.repeat(200) + ']'.repeat(200)))).toBeInstanceOf(Array))
})
