/**
 * Retry rules: what follows when an attempt ended for a reason. Pure; the randomness of the jitter is passed in.
 * `failures` counts ended attempts that the rule counts; release, preemption and machine-lost do not raise it.
 */
import type { AttemptReason } from './job-state.js'

/** How often an attempt that ended for one of the reasons `on` is repeated. */
export interface RetryRule {
  /** Further attempts allowed after counted failures; 0 by default. */
  readonly max: number
  /** The reasons it applies to. */
  readonly on: readonly AttemptReason[]
}

/** Reasons a job may ask to be retried for. */
export const RETRYABLE_REASONS = [
  'exit',
  'signal',
  'oom',
  'timeout',
  'no-progress',
  'setup-failed',
] as const satisfies readonly AttemptReason[]
/** What `retries: N` covers. */
export const DEFAULT_RETRY: RetryRule = { max: 0, on: RETRYABLE_REASONS }
/** Attempts that fail to launch before the job fails, whatever its rule says. */
export const LAUNCH_FAILURES_MAX = 3

const UNCOUNTED: readonly AttemptReason[] = ['machine-lost', 'preempted', 'released']
const NEVER: readonly AttemptReason[] = ['policy', 'cancelled', 'released']

/** Whether an end for this reason raises `failures`. */
export function countsAsFailure(reason: AttemptReason): boolean {
  return !UNCOUNTED.includes(reason)
}

/** The decision about an attempt that ended: try again after a pause, or fail for good. */
export type RetryDecision =
  | { readonly retry: true; readonly afterMs: number; readonly failures: number }
  | { readonly retry: false; readonly failures: number }

/**
 * Decides what follows an attempt's end. `failures` are those before this end; `random` yields [0, 1).
 * The pause is 5 s x 4^n, n the failures so far, at most 5 min, with a jitter of -25 % to +25 %.
 */
export function decideRetry(
  reason: AttemptReason,
  failures: number,
  rule: RetryRule,
  random: () => number,
): RetryDecision {
  const total = failures + (countsAsFailure(reason) ? 1 : 0)
  if (NEVER.includes(reason)) return { retry: false, failures: total }
  const again =
    !countsAsFailure(reason) ||
    (reason === 'launch-failed' ? total < LAUNCH_FAILURES_MAX : rule.on.includes(reason) && total <= rule.max)
  return again
    ? { retry: true, afterMs: backoffMs(failures, random), failures: total }
    : { retry: false, failures: total }
}

/** The pause before the next attempt after `failures` earlier ones, in milliseconds, with jitter. */
export function backoffMs(failures: number, random: () => number): number {
  const base = Math.min(5_000 * 4 ** Math.min(failures, 10), 300_000)
  return Math.round(base * (0.75 + random() * 0.5))
}
