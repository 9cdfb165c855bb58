/** Durations and sizes as people write them: `'4h'`, `'1m30s'`, `'8GiB'`. Numbers are milliseconds and bytes. */
import { MusterError } from './errors.js'

const DURATION: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const SIZE: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** Reads a duration such as `'4h'`, `'1m30s'` or `250` (milliseconds) into whole milliseconds. Throws INVALID_ARGUMENT. */
export function parseDuration(value: string | number, name = 'duration'): number {
  if (typeof value === 'number') return checked(value, name, value)
  const text = value.trim().toLowerCase()
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(text)) throw wrong(name, value, "a duration such as '90s', '4h' or '1h30m'")
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g))
    total += Number(amount) * (DURATION[unit ?? ''] ?? NaN)
  return checked(Math.round(total), name, value)
}

/** Reads a size such as `'8GiB'`, `'500MB'`, `'2g'` (binary) or `1024` into whole bytes. Throws INVALID_ARGUMENT. */
export function parseSize(value: string | number, name = 'size'): number {
  if (typeof value === 'number') return checked(value, name, value)
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(value.trim().toLowerCase())
  const factor = SIZE[match?.[2] ?? '']
  if (!match || factor === undefined) throw wrong(name, value, "a size such as '8GiB' or '500MB'")
  return checked(Math.round(Number(match[1]) * factor), name, value)
}

/** Writes a duration for people: `850ms`, `4.2s`, `3m12s`, `2h05m`, `3d04h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s`
  const [big, small, units] =
    ms < 3_600_000 ? [60_000, 1_000, 'ms'] : ms < 86_400_000 ? [3_600_000, 60_000, 'hm'] : [86_400_000, 3_600_000, 'dh']
  const whole = Math.floor(ms / big)
  return `${whole}${units[0]}${String(Math.floor((ms - whole * big) / small)).padStart(2, '0')}${units[1]}`
}

/** Writes a size for people: `512 B`, `1.5 KiB`, `8.0 GiB`. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return step === 0 ? `${bytes} B` : `${(bytes / 1024 ** step).toFixed(1)} ${units[step]}`
}

function checked(amount: number, name: string, value: string | number): number {
  if (!Number.isSafeInteger(amount) || amount < 0) throw wrong(name, value, 'a whole number that is not negative')
  return amount
}

function wrong(name: string, value: string | number, expected: string): MusterError {
  return new MusterError('INVALID_ARGUMENT', `${name}: expected ${expected}, got ${JSON.stringify(value)}`, {
    details: { field: name },
  })
}
