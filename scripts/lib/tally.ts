/**
 * The tally of one `npm test`: a file, named in the environment, to which every stage and every vitest adds a line. Without
 * the variable nothing is counted: a check or a vitest started by hand reports for itself.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/** Names the file of the tally. */
export const TALLY_VARIABLE = 'MUSTER_TEST_TALLY'

/** Numbers of tests. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** Adds to the tally and reads its sum. */
export const tally = {
  add(counts: Partial<Counts>): void {
    const file = process.env[TALLY_VARIABLE]
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(counts)}\n`)
  },
  read(): Counts {
    const file = process.env[TALLY_VARIABLE]
    const lines = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
    const sum = { passed: 0, failed: 0, skipped: 0 }
    for (const line of lines.filter((text) => text !== '')) {
      const counts = JSON.parse(line) as Partial<Counts>
      for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += counts[key] ?? 0
    }
    return sum
  },
}

/** The last line of a test run. */
export function tallyLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
