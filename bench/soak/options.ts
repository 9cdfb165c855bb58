/** The options of a soak, as its command line gives them. */
import { MusterError } from '@muster/core'

type Options = Readonly<Record<string, string>>

/** Throws INVALID_ARGUMENT where there is an option that the soak does not know: it would run for minutes without it. */
export function only(options: Options, ...known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown === undefined) return
  const hint = `It knows ${known.map((name) => `--${name}`).join(', ')}.`
  throw new MusterError('INVALID_ARGUMENT', `--${unknown}: this soak has no such option`, { hint })
}

/** The whole number of an option. Throws INVALID_ARGUMENT where it is none. */
export function whole(options: Options, name: string, fallback: number): number {
  const text = options[name]
  if (text === undefined) return fallback
  const number = Number(text)
  if (text !== '' && Number.isSafeInteger(number) && number >= 0) return number
  throw new MusterError('INVALID_ARGUMENT', `--${name}: expected a whole number, got ${JSON.stringify(text)}`)
}
