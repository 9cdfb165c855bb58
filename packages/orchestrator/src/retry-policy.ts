/**
 * How long a message pauses between a handler that failed and its next try. The number of tries is a setting of the queue (`maxTries`),
 * which holds for all its consumers. Invariant: the pause is a whole number of milliseconds that every backend takes.
 */
import { backoffMs, parseWith } from '@muster/core'
import { z } from 'zod'
import { MAX_DELAY_MS } from './checks.js'

export const retryPolicy = z.strictObject({
  /** The pause before the second try; 5 s unless given. */
  firstMs: z.int().min(0).max(MAX_DELAY_MS).default(5_000),
  /** How much longer each further pause is; 4 unless given. */
  factor: z.number().min(1).max(100).default(4),
  /** The longest pause; 5 min unless given. */
  maxMs: z.int().min(0).max(MAX_DELAY_MS).default(300_000),
  /** The part of a pause that chance decides, so that what failed together does not come back together; 0.25 means +-25 %. */
  jitter: z.number().min(0).max(1).default(0.25),
})
/** The pause before a retry: a geometric series with jitter. */
export type RetryPolicy = z.input<typeof retryPolicy>

/** The pause after `tries` earlier retries, in milliseconds. */
export type Pauses = (tries: number, random: () => number) => number

/** The pauses of a policy; those of the job record where none is given. Throws INVALID_ARGUMENT. */
export function pausesOf(policy: RetryPolicy | undefined): Pauses {
  if (policy === undefined) return backoffMs
  const { firstMs, factor, maxMs, jitter } = parseWith(retryPolicy, policy, 'retry')
  return (tries, random) => {
    const base = Math.min(firstMs * factor ** Math.min(tries, 1_000), maxMs)
    return wholeMs(base * (1 - jitter + random() * 2 * jitter))
  }
}

/** A pause that every backend takes; 0 where somebody's own function gave no number. */
export function wholeMs(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(Math.round(ms), 0), MAX_DELAY_MS)
}
