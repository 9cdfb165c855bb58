/** What follows an attempt's end. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ATTEMPT_REASONS, type AttemptReason } from '../../src/job-state.js'
import {
  DEFAULT_RETRY,
  LAUNCH_FAILURES_MAX,
  RETRYABLE_REASONS,
  backoffMs,
  countsAsFailure,
  decideRetry,
} from '../../src/retry.js'

const reason = fc.constantFrom(...ATTEMPT_REASONS)
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const middle = (): number => 0.5

describe('decideRetry', () => {
  it.each(['policy', 'cancelled', 'released'] as const)('never repeats after %s, whatever was asked for', (never) => {
    expect(decideRetry(never, 0, { max: 1_000, on: ATTEMPT_REASONS }, middle).retry).toBe(false)
  })

  it.each(['machine-lost', 'preempted'] as const)('repeats after %s without limit and without counting it', (lost) => {
    expect(decideRetry(lost, 500, DEFAULT_RETRY, middle)).toMatchObject({ retry: true, failures: 500 })
  })

  it('repeats a failed launch until the third, whatever was asked for', () => {
    const ends = Array.from({ length: LAUNCH_FAILURES_MAX }, (_, n) =>
      decideRetry('launch-failed', n, DEFAULT_RETRY, middle),
    )
    expect(ends.map((end) => [end.retry, end.failures])).toEqual([
      [true, 1],
      [true, 2],
      [false, 3],
    ])
  })

  it.each(RETRYABLE_REASONS)('repeats after %s only as often as was asked for', (own) => {
    expect(decideRetry(own, 0, DEFAULT_RETRY, middle)).toEqual({ retry: false, failures: 1 })
    expect(decideRetry(own, 0, { max: 2, on: [own] }, middle)).toMatchObject({ retry: true, failures: 1 })
    expect(decideRetry(own, 1, { max: 2, on: [own] }, middle)).toMatchObject({ retry: true, failures: 2 })
    expect(decideRetry(own, 2, { max: 2, on: [own] }, middle)).toEqual({ retry: false, failures: 3 })
  })

  it('repeats only for the reasons that were named', () => {
    expect(decideRetry('timeout', 0, { max: 5, on: ['oom'] }, middle).retry).toBe(false)
  })

  it('raises failures by exactly what counts', () => {
    fc.assert(
      fc.property(reason, fc.nat(2_000), random, (end: AttemptReason, failures, roll) => {
        const decision = decideRetry(end, failures, DEFAULT_RETRY, () => roll)
        expect(decision.failures).toBe(failures + (countsAsFailure(end) ? 1 : 0))
      }),
    )
  })
})

describe('backoffMs', () => {
  it('is 5 s x 4^n, at most 5 min', () => {
    expect([0, 1, 2, 3, 4].map((n) => backoffMs(n, middle))).toEqual([5_000, 20_000, 80_000, 300_000, 300_000])
  })

  it('stays within a quarter of that, is whole, and never overflows', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), random, (failures, roll) => {
        const pause = backoffMs(failures, () => roll)
        const base = Math.min(5_000 * 4 ** failures, 300_000)
        expect(Number.isSafeInteger(pause)).toBe(true)
        expect(pause).toBeGreaterThanOrEqual(base * 0.75)
        expect(pause).toBeLessThanOrEqual(base * 1.25)
      }),
    )
  })
})
