import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LINE_BYTES, logLines, type FollowedPiece, type LogLine } from '../../src/handle/lines.js'

async function* pieces(parts: readonly Buffer[], attempt = 1): AsyncGenerator<FollowedPiece, void, undefined> {
  let offset = 0
  for (const bytes of parts) {
    yield { bytes, attempt, offset, last: false }
    offset += bytes.length
  }
  yield { bytes: Buffer.alloc(0), attempt, offset, last: true }
}

async function collect(source: AsyncIterable<LogLine>): Promise<LogLine[]> {
  const lines: LogLine[] = []
  for await (const line of source) lines.push(line)
  return lines
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const borders = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return borders.slice(1).map((border, index) => bytes.subarray(borders[index], border))
}

describe('lines of a log', () => {
  test('any cut of any text gives the same lines, at their offsets', async () => {
    const text = fc.array(fc.string({ unit: 'binary', maxLength: 20 }).filter((line) => !line.includes('\n')))
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), fc.array(fc.nat()), async (written, newline, cuts) => {
        const all = written.map((line) => `${line}\n`).join('') + (newline ? '' : 'tail')
        const bytes = Buffer.from(all)
        const lines = await collect(logLines(pieces(cutAt(bytes, cuts))))
        expect(lines.map(({ text }) => text)).toEqual(newline ? written : [...written, 'tail'])
        for (const line of lines) {
          const there = bytes.subarray(line.offset, line.offset + Buffer.byteLength(line.text))
          expect(there.toString()).toBe(line.text)
        }
      }),
    )
  })

  test('a long line comes in bounded pieces that cut no character and lose no byte', async () => {
    const long = 'ä€😀'.repeat(300_000)
    const bytes = Buffer.from(`${long}\nnext\n`)
    const lines = await collect(logLines(pieces(cutAt(bytes, [70_001, 900_000, 1_500_003]))))
    expect(lines.at(-1)?.text).toBe('next')
    const parts = lines.slice(0, -1)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.map(({ text }) => text).join('')).toBe(long)
    for (const { text } of parts) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LINE_BYTES)
  })

  test('bytes that are no text still come as one line', async () => {
    const lines = await collect(logLines(pieces([Buffer.from([0xff, 0x80, 0x0a, 0x80])])))
    expect(lines.map(({ offset }) => offset)).toEqual([0, 3])
    expect(lines[0]?.text).toBe('\ufffd\ufffd')
  })

  test('each attempt ends its own last line', async () => {
    async function* both(): AsyncGenerator<FollowedPiece, void, undefined> {
      yield* pieces([Buffer.from('one')], 1)
      yield* pieces([Buffer.from('two')], 2)
    }
    expect(await collect(logLines(both()))).toEqual([
      { text: 'one', attempt: 1, offset: 0 },
      { text: 'two', attempt: 2, offset: 0 },
    ])
  })
})
