/** Durations and sizes: what people write comes back as what they meant, and everything else is refused by name. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isMusterError } from '../../src/errors.js'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/units.js'

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['1m30s', 90_000],
    [' 4H ', 14_400_000],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
    [0, 0],
    [1_234, 1_234],
  ])('reads %j', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each(['', '4', 'h', '4 hours', '-1s', '1e3s', '1h-30m', '1,5h', '0x10s', NaN, Infinity, -1, 1.5])(
    'refuses %j, naming the field',
    (text) => {
      expect(() => parseDuration(text, 'timeout')).toThrow(/^timeout: expected /)
      expect(thrownBy(() => parseDuration(text, 'timeout'))).toBe('INVALID_ARGUMENT')
    },
  )

  it('reads back every whole number of a unit', () => {
    const factor = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
    fc.assert(
      fc.property(fc.nat(10_000), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (amount, unit) => {
        expect(parseDuration(`${amount}${unit}`)).toBe(amount * factor[unit])
      }),
    )
  })
})

describe('parseSize', () => {
  it.each([
    ['512b', 512],
    ['500MB', 500e6],
    ['8GiB', 8 * 2 ** 30],
    ['2g', 2 * 2 ** 30],
    ['1.5 KiB', 1_536],
    [1_024, 1_024],
  ])('reads %j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  it.each(['', '8', 'GiB', '8 gigs', '-1g', '9999999999TiB', NaN, -1, 0.5])('refuses %j, naming the field', (text) => {
    expect(() => parseSize(text, 'memory')).toThrow(/^memory: expected /)
    expect(thrownBy(() => parseSize(text, 'memory'))).toBe('INVALID_ARGUMENT')
  })
})

describe('formatDuration and formatSize', () => {
  it.each([
    [0, '0ms'],
    [850, '850ms'],
    [4_200, '4.2s'],
    [192_000, '3m12s'],
    [7_500_000, '2h05m'],
    [273_600_000, '3d04h'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [1_536, '1.5 KiB'],
    [8 * 2 ** 30, '8.0 GiB'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text)
  })

  it('writes times that can be read again, less than a small unit off', () => {
    fc.assert(
      fc.property(fc.nat(30 * 86_400_000), (ms) => {
        const smallUnit = ms < 60_000 ? 100 : ms < 3_600_000 ? 1_000 : ms < 86_400_000 ? 60_000 : 3_600_000
        expect(Math.abs(parseDuration(formatDuration(ms)) - ms)).toBeLessThan(smallUnit)
      }),
    )
  })
})

function thrownBy(call: () => unknown): string | undefined {
  try {
    call()
  } catch (error) {
    return isMusterError(error) ? error.code : String(error)
  }
  return undefined
}
