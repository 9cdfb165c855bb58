/**
 * Measuring on noisy machines. Ours and the peer take turns in one run, so that what disturbs one disturbs the other, and what
 * counts is the median of the ratios of neighbours. Invariant: a figure is never reported without its unit and its spread.
 */

/** The middle of `values` (the mean of the two middle ones where their number is even); NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number): number => sorted[index] ?? NaN
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2
}

/** The smallest of `values` that at least `percent` of them do not exceed (nearest rank); NaN of none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN
}

/** What a run of rounds found. Ratios are ours / theirs, one for each round. */
export interface Rounds {
  readonly ours: number
  readonly theirs: number
  readonly ratio: number
  readonly ratios: readonly number[]
}

/** One side of a comparison: does its work once and gives its figure. */
export type Side = () => Promise<number>

/** One side whose work gives several figures at once: the median and the tail of the same samples, say. */
export type SideOf<Name extends string> = () => Promise<Readonly<Record<Name, number>>>

/** Runs both sides `rounds` times, after one round each that is thrown away; who goes first changes from round to round. */
export async function interleaved(rounds: number, ours: Side, theirs: Side): Promise<Rounds> {
  const alone =
    (side: Side): SideOf<'figure'> =>
    async () => ({ figure: await side() })
  return (await interleavedAll(rounds, alone(ours), alone(theirs))).figure
}

/** As {@link interleaved}, for sides that give several figures: the rounds of each. */
export async function interleavedAll<Name extends string>(
  rounds: number,
  ours: SideOf<Name>,
  theirs: SideOf<Name>,
): Promise<Readonly<Record<Name, Rounds>>> {
  const thrownAway = await ours()
  await theirs()
  const pairs: { readonly ours: Record<Name, number>; readonly theirs: Record<Name, number> }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const first = round % 2 === 0 ? await ours() : undefined
    const other = await theirs()
    pairs.push({ ours: first ?? (await ours()), theirs: other })
  }
  const names = Object.keys(thrownAway) as Name[]
  const of = (name: Name): Rounds =>
    roundsOf(pairs.map((pair) => ({ ours: pair.ours[name], theirs: pair.theirs[name] })))
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<Name, Rounds>
}

function roundsOf(pairs: readonly { readonly ours: number; readonly theirs: number }[]): Rounds {
  const ratios = pairs.map((pair) => pair.ours / pair.theirs)
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    theirs: median(pairs.map((pair) => pair.theirs)),
    ratio: median(ratios),
    ratios,
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** How many times a second `work` is done when it is done `count` times, `width` at a time. */
export async function perSecond(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<number> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  const ms = await timed(() => Promise.all(Array.from({ length: Math.min(width, count) }, lane)))
  return (count / ms) * 1_000
}
