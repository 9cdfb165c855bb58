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

/** What one stage adds: its counts, and of each failure a few lines. */
export interface Added extends Partial<Counts> {
  readonly failures?: readonly string[]
}

/** Adds to the tally and reads its sum. */
export const tally = {
  add(counts: Added): void {
    const file = process.env[TALLY_VARIABLE]
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(counts)}\n`)
  },
  read(): Counts & { readonly failures: readonly string[] } {
    const sum = { passed: 0, failed: 0, skipped: 0, failures: [] as string[] }
    for (const added of lines()) {
      for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += added[key] ?? 0
      sum.failures.push(...(added.failures ?? []))
    }
    return sum
  },
}

function lines(): Added[] {
  const file = process.env[TALLY_VARIABLE]
  const text = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : ''
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Added)
}

/** The last line of a test run. */
export function tallyLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
