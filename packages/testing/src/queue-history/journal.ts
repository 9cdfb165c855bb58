/**
 * What every actor of a history writes down, line by line, before and after each call. Invariant: a line is in the file when `write`
 * returns, so a process that is killed has written all that it knew.
 */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Settlement, SettleOutcome } from '@muster/orchestrator'

/** One line. Times are milliseconds of the host's monotonic clock, which is the same for all processes. */
export type Entry =
  /** About to publish; whether these are in is unknown until `accepted`. */
  | {
      readonly is: 'publishing'
      readonly ids: readonly string[]
      /** Milliseconds, of each. */
      readonly delays: readonly number[]
      readonly at: number
    }
  | { readonly is: 'accepted'; readonly ids: readonly string[]; readonly at: number }
  | {
      readonly is: 'received'
      readonly delivery: string
      readonly id: string
      readonly tries: number
      readonly crashes: number
      readonly at: number
      readonly until: number
    }
  /** From now on the lease may end as early as that. */
  | {
      readonly is: 'extended'
      readonly delivery: string
      readonly at: number
      readonly until: number
    }
  /** About to settle; what became of it is unknown until `settled`. */
  | {
      readonly is: 'settling'
      readonly delivery: string
      readonly id: string
      readonly as: Settlement['as']
      /** Of a retry, milliseconds. */
      readonly delayMs?: number
      readonly at: number
    }
  | {
      readonly is: 'settled'
      readonly delivery: string
      readonly id: string
      readonly as: Settlement['as']
      readonly outcome: SettleOutcome
      readonly at: number
    }
  /** An answer that must not be. */
  | { readonly is: 'wrong'; readonly what: string }

/** Milliseconds of the host's monotonic clock. */
export function hostNow(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/** Appends to the file of one actor. */
export class Journal {
  readonly #file: number

  constructor(directory: string, name: string) {
    this.#file = openSync(join(directory, `${name}.jsonl`), 'a')
  }

  write(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** All that was written in the directory. A last line that a kill cut short is left out. */
export function readJournals(directory: string): readonly Entry[] {
  return readdirSync(directory).flatMap((file) => {
    const whole = readFileSync(join(directory, file), 'utf8').split('\n').slice(0, -1)
    return whole.map((line) => JSON.parse(line) as Entry)
  })
}
