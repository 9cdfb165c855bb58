/**
 * What this process knows of its queues: how many messages went in, out and which way, how long they waited and how long their handlers
 * ran. Counted over two windows of a minute that take turns, so that a figure is of the last one to two minutes and a quiet
 * queue becomes quiet. Invariant: memory is bounded, by a fixed size for each queue and a largest number of queues.
 */
import type { Clock } from '@muster/core'
import type { QueueCounts } from './backend.js'
import { Histogram, percentiles } from './histogram.js'

/** What is counted. */
export const COUNTED = ['published', 'delivered', 'acked', 'retried', 'released', 'dead', 'lost'] as const
/** A name of {@link COUNTED}. */
export type Counted = (typeof COUNTED)[number]

/** Percentiles of a duration over the last one to two minutes, milliseconds, each to within 3 %. */
export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** The state of a queue, and what this process did with it. */
export interface QueueStats extends QueueCounts {
  /** Since this orchestrator was opened, here. `lost`: leases that ran out or settlements that nobody confirmed. */
  readonly totals: Readonly<Record<Counted, number>>
  /** Per second, over the last one to two minutes, here. */
  readonly perSecond: Readonly<Record<Counted, number>>
  /** From publication to the first hand-out here, a delay included; undefined where nothing was handed out lately. */
  readonly waitingMs: Percentiles | undefined
  /** From the hand-out to the settlement's beginning here; undefined where nothing was settled lately. */
  readonly runningMs: Percentiles | undefined
}

const WINDOW_MS = 60_000
/** Beyond this many queues the one that was first seen is forgotten. */
const MOST_QUEUES = 1_000

interface Window {
  readonly counts: Record<Counted, number>
  readonly waiting: Histogram
  readonly running: Histogram
}

/** What is counted for one queue. */
export class QueueTally {
  readonly totals = zeros()
  readonly #clock: Clock
  readonly #born: number
  #began: number
  #now = window()
  #before: Window | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#born = this.#began = clock.monotonic()
  }

  /** Counts something that happened at `now` (monotonic). */
  count(what: Counted, now: number, times = 1): void {
    if (now - this.#began >= WINDOW_MS) this.#turn(now)
    this.totals[what] += times
    this.#now.counts[what] += times
  }

  /** A message was handed out for the first time, `waitedMs` after its publication. */
  waited(waitedMs: number): void {
    this.#now.waiting.record(waitedMs)
  }

  /** A handler ended after `ranMs`. */
  ran(ranMs: number): void {
    this.#now.running.record(ranMs)
  }

  /** The figures beside what the backend counts. */
  read(): Omit<QueueStats, keyof QueueCounts> {
    const now = this.#clock.monotonic()
    if (now - this.#began >= WINDOW_MS) this.#turn(now)
    const windows = this.#before ? [this.#before, this.#now] : [this.#now]
    const since = this.#before ? this.#began - WINDOW_MS : this.#began
    // A process of a second has no rate per minute; less than a second is taken as one, so that two messages are no flood.
    const seconds = Math.max(now - Math.max(since, this.#born), 1_000) / 1_000
    const rate = (what: Counted): number => windows.reduce((sum, { counts }) => sum + counts[what], 0) / seconds
    return {
      totals: { ...this.totals },
      perSecond: Object.fromEntries(COUNTED.map((what) => [what, rate(what)])) as Record<Counted, number>,
      waitingMs: summary(windows.map(({ waiting }) => waiting)),
      runningMs: summary(windows.map(({ running }) => running)),
    }
  }

  #turn(now: number): void {
    const gone = now - this.#began
    const spare = this.#before ?? window()
    this.#before = gone < 2 * WINDOW_MS ? this.#now : undefined
    this.#now = this.#before ? spare : this.#now
    clear(this.#now)
    this.#began = this.#before ? this.#began + WINDOW_MS : now
  }
}

/** The tallies of all queues that this process used. */
export class Statistics {
  readonly #clock: Clock
  readonly #tallies = new Map<string, QueueTally>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The tally of a queue. */
  of(queue: string): QueueTally {
    let tally = this.#tallies.get(queue)
    if (tally === undefined) {
      tally = new QueueTally(this.#clock)
      this.#tallies.set(queue, tally)
      const [first] = this.#tallies.keys()
      if (this.#tallies.size > MOST_QUEUES && first !== undefined) this.#tallies.delete(first)
    }
    return tally
  }
}

function summary(histograms: readonly Histogram[]): Percentiles | undefined {
  const [p50 = 0, p90 = 0, p99 = 0, max = 0] = percentiles(histograms, [50, 90, 99, 100]) ?? []
  if (!histograms.some(({ count }) => count > 0)) return undefined
  return { p50: rounded(p50), p90: rounded(p90), p99: rounded(p99), max: rounded(max) }
}

/** To hundredths of a millisecond, upwards: a percentile never says less than was. */
function rounded(ms: number): number {
  return Math.ceil(ms * 100) / 100
}

function window(): Window {
  return { counts: zeros(), waiting: new Histogram(), running: new Histogram() }
}

function clear({ counts, waiting, running }: Window): void {
  Object.assign(counts, zeros())
  waiting.clear()
  running.clear()
}

function zeros(): Record<Counted, number> {
  return { published: 0, delivered: 0, acked: 0, retried: 0, released: 0, dead: 0, lost: 0 }
}
