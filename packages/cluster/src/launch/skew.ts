/**
 * How far a machine's clock is from ours. One exchange says: the clock was read between our asking and its answer, so the
 * skew lies in an interval. Several exchanges lie in all of their intervals: the cut is what is known. Pure.
 */

/** One question for the time. `before` and `after` are our clock, epoch milliseconds; `said` is what `date +%s.%N` printed. */
export interface Exchange {
  readonly before: number
  readonly after: number
  readonly said: string
}

/** Machine time minus our time, and how wrong that may be at most, in milliseconds. Null where no exchange told a time. */
export function skewOf(exchanges: readonly Exchange[]): { readonly skewMs: number; readonly withinMs: number } | null {
  const intervals = exchanges.flatMap(intervalOf)
  if (intervals.length === 0) return null
  const narrowest = intervals.reduce((best, next) => (next.to - next.from < best.to - best.from ? next : best))
  const from = Math.max(...intervals.map((interval) => interval.from))
  const to = Math.min(...intervals.map((interval) => interval.to))
  // No cut: a clock was set meanwhile. The narrowest is the best there is.
  const known = from <= to ? { from, to } : narrowest
  return { skewMs: Math.round((known.from + known.to) / 2), withinMs: (known.to - known.from) / 2 }
}

function intervalOf({ before, after, said }: Exchange): { from: number; to: number }[] {
  const [, seconds, fraction] = /^(\d+)(?:\.(\d{3}))?/.exec(said.trim()) ?? []
  if (seconds === undefined || seconds === '0') return []
  const read = Number(seconds) * 1_000 + Number(fraction ?? 0)
  // busybox tells whole seconds: the time may have been up to one later than said.
  const coarse = fraction === undefined ? 999 : 0
  return [{ from: read - after, to: read + coarse - before }]
}
