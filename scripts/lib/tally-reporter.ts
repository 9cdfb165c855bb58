/** A vitest reporter that adds the tests of a run to the tally. A file that cannot be loaded, or a stray error, is a failure. */
import type { Reporter, TestModule } from 'vitest/node'
import { tally } from './tally.js'

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      const before = counts.failed
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        counts[state === 'pending' ? 'failed' : state] += 1
      }
      // An error outside its tests: the file did not load, or a hook of it threw.
      if (module.state() === 'failed' && counts.failed === before) counts.failed += 1
    }
    tally.add(counts)
  }
}
