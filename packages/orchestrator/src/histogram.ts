/**
 * Percentiles in fixed memory: the log-linear histogram of HdrHistogram (Gil Tene, hdrhistogram.org). Each power of two is cut into 32 equal
 * parts, so a value is known to within 1/32 (3 %) of itself, whatever its size. Invariant: recording allocates nothing.
 */

/** 2^5 parts for each power of two. */
const BITS = 5
const PARTS = 1 << BITS
/** Values are kept in units of 10 microseconds; the largest is 2^31 of them: six hours. */
const UNITS_PER_MS = 100
const LARGEST = 2 ** 31 - 1
const CELLS = (31 - BITS + 1) * PARTS

/** Durations in milliseconds, for percentiles. */
export class Histogram {
  readonly #cells = new Uint32Array(CELLS)
  #count = 0
  #max = 0

  /** How many were recorded. */
  get count(): number {
    return this.#count
  }

  /** The largest that was recorded, exactly; 0 where none was. */
  get max(): number {
    return this.#max
  }

  /** Records one; a negative one counts as 0. */
  record(ms: number): void {
    const cell = cellOf(ms)
    this.#cells[cell] = (this.#cells[cell] ?? 0) + 1
    this.#count++
    if (ms > this.#max) this.#max = ms
  }

  /** Forgets all. */
  clear(): void {
    this.#cells.fill(0)
    this.#count = this.#max = 0
  }

  /** How many stand in a cell; for a percentile over several histograms. */
  in(cell: number): number {
    return this.#cells[cell] ?? 0
  }
}

/** Percentiles of several histograms together, in milliseconds, each to within 3 %; undefined where nothing was recorded. */
export function percentiles(
  histograms: readonly Histogram[],
  wanted: readonly number[],
): readonly number[] | undefined {
  const total = histograms.reduce((sum, { count }) => sum + count, 0)
  if (total === 0) return undefined
  const max = Math.max(...histograms.map((one) => one.max))
  return wanted.map((percent) => Math.min(valueAt(histograms, Math.max(1, Math.ceil((total * percent) / 100))), max))
}

function valueAt(histograms: readonly Histogram[], rank: number): number {
  let seen = 0
  for (let cell = 0; cell < CELLS; cell++) {
    for (const one of histograms) seen += one.in(cell)
    if (seen >= rank) return upperEdge(cell)
  }
  return Infinity
}

function cellOf(ms: number): number {
  const value = Math.min(Math.max(Math.floor(ms * UNITS_PER_MS), 0), LARGEST)
  if (value < PARTS) return value
  const shift = 31 - Math.clz32(value) - BITS
  return (shift + 1) * PARTS + ((value >>> shift) - PARTS)
}

/** The largest value of a cell, so that a percentile never says less than was. */
function upperEdge(cell: number): number {
  const row = Math.floor(cell / PARTS)
  if (row === 0) return (cell + 1) / UNITS_PER_MS
  return (((cell % PARTS) + PARTS + 1) * 2 ** (row - 1)) / UNITS_PER_MS
}
