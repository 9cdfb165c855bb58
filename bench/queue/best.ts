/**
 * A peer at its best: some ways of using it are tried in the run itself, on this machine and this server, and the quickest is
 * what ours is compared with. Invariant: the choice is made by the median of trials that took turns, and is printed.
 */
import type { Context } from '../harness/load.js'
import { median } from '../harness/measure.js'

/** A way of doing the same work; `run` does it once and gives its rate. */
export interface Variant {
  readonly name: string
  readonly run: () => Promise<number>
}

const TRIALS = 3

/** The variant that does best. The first round of each is thrown away. */
export async function best(who: string, variants: readonly Variant[], { log, note }: Context): Promise<Variant> {
  const [only] = variants
  if (only && variants.length === 1) return only
  const found = variants.map((variant) => ({ variant, rates: [] as number[] }))
  for (const { variant } of found) await variant.run()
  for (let trial = 0; trial < TRIALS; trial += 1)
    for (const { variant, rates } of found) rates.push(await variant.run())
  const ranked = found
    .map(({ variant, rates }) => ({ variant, rate: median(rates) }))
    .sort((one, other) => other.rate - one.rate)
  const tried = ranked.map(({ variant, rate }) => `${variant.name} ${Math.round(rate)}/s`)
  log(`${who}: ${tried.join(', ')}`)
  note(`tried: ${who}`, tried)
  const [first] = ranked
  if (first === undefined) throw new Error(`${who}: nothing to choose from`)
  return first.variant
}
