/** A figure of a bench and whether it meets its bar. One shape for all benches, so that a program can compare two runs. */
import type { Rounds } from './measure.js'

/** One figure of an issue's table. `peer`, `theirs` and `ratio` are null where the bar is absolute. */
export interface Result {
  readonly name: string
  readonly unit: string
  readonly ours: number
  readonly peer: string | null
  readonly theirs: number | null
  readonly ratio: number | null
  /** The figure that the issue names; null where it is only printed. */
  readonly bar: number | null
  readonly met: boolean
}

/** A result with what people want to see beside it. */
export interface Measured extends Result {
  readonly sense: 'at least' | 'at most' | null
  /** The ratio of every round. */
  readonly ratios: readonly number[]
}

/** Names a figure. */
export interface Figure {
  readonly name: string
  readonly unit: string
}

/** A bar on the ratio of ours to a peer's. `orMet` is the other way to meet it, where the issue allows one. */
export function comparedTo(
  peer: string,
  rounds: Rounds,
  { name, unit, sense, bar, orMet = false }: Figure & { sense: 'at least' | 'at most'; bar: number; orMet?: boolean },
): Measured {
  const { ours, theirs, ratio, ratios } = rounds
  return { name, unit, ours, peer, theirs, ratio, bar, met: meets(ratio, sense, bar) || orMet, sense, ratios }
}

/** A comparison without a bar. */
export function printedBeside(peer: string, rounds: Rounds, { name, unit }: Figure): Measured {
  const { ours, theirs, ratio, ratios } = rounds
  return { name, unit, ours, peer, theirs, ratio, bar: null, met: true, sense: null, ratios }
}

/** A bar on our own figure. */
export function absolute(
  ours: number,
  { name, unit, sense, bar }: Figure & { sense: 'at least' | 'at most'; bar: number },
): Measured {
  return { name, unit, ours, ...alone, bar, met: meets(ours, sense, bar), sense }
}

/** A figure without a bar. */
export function printed(ours: number, { name, unit }: Figure): Measured {
  return { name, unit, ours, ...alone, bar: null, met: true, sense: null }
}

const alone = { peer: null, theirs: null, ratio: null, ratios: [] } as const

/** NaN meets no bar: a figure that could not be taken is no success. */
function meets(figure: number, sense: 'at least' | 'at most', bar: number): boolean {
  return sense === 'at least' ? figure >= bar : figure <= bar
}
