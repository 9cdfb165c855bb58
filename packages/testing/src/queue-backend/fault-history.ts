/** Conformance item 33 with faults, scaled: a short history, judged by what its actors wrote down. */
import { expect, test } from 'vitest'
import { runQueueHistory } from '../queue-history/run.js'
import type { QueueBackendFactory } from './kit.js'

const OPERATIONS = 1_000

/** Proves item 33 for many actors under faults. `MUSTER_SEED` repeats what was thrown. */
export function faultHistorySection(factory: QueueBackendFactory): void {
  const seed = Number(process.env['MUSTER_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  test(`33 ${OPERATIONS} operations of four actors under faults: nothing is lost (seed ${seed})`, async () => {
    const report = await runQueueHistory(factory, { seed, operations: OPERATIONS })
    const { lost, stories, duplicates, problems, faults, figures, allowedDuplicates } = report
    console.info(
      `history of ${factory.name} under faults, seed ${seed}: lost = ${lost.length}, duplicates = ${duplicates}`,
      JSON.stringify({ ...figures, ...faults }),
    )
    if (lost.length > 0 || duplicates > allowedDuplicates) console.info(stories.join('\n'))
    expect({ lost, problems }).toEqual({ lost: [], problems: [] })
    expect(duplicates).toBeLessThanOrEqual(allowedDuplicates)
    expect(figures.acked).toBeGreaterThan(OPERATIONS / 20)
  }, 150_000)
}
