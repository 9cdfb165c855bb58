/**
 * A vitest reporter that adds the tests of a run to the tally, and what failed in them. A file that cannot be loaded, or a stray error,
 * is a failure.
 */
import type { Reporter, TestCase, TestModule } from 'vitest/node'
import { tally } from './tally.js'

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly Thrown[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    const failures = unhandledErrors.map((error) => `outside of all tests: ${told(error)}`)
    for (const module of modules) {
      const before = counts.failed
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        counts[state === 'pending' ? 'failed' : state] += 1
        if (state === 'failed' || state === 'pending') failures.push(failureOf(test))
      }
      // An error outside its tests: the file did not load, or a hook of it threw.
      if (module.state() === 'failed' && counts.failed === before) {
        counts.failed += 1
        failures.push(`${module.relativeModuleId}: ${module.errors().map(told).join('; ') || 'a hook of it failed'}`)
      }
    }
    tally.add({ ...counts, ...(failures.length > 0 && { failures }) })
  }
}

interface Thrown {
  readonly message: string
  readonly stack?: string
}

function failureOf(test: TestCase): string {
  const { duration = 0 } = test.diagnostic() ?? {}
  const errors = (test.result().errors ?? []).map(told)
  const after = `${test.project.name}, ${(duration / 1_000).toFixed(1)} s`
  return `${test.module.relativeModuleId}: ${test.fullName} (${after}): ${errors.join('; ') || 'it never ended'}`
}

/** What was thrown, and the first place in a test that stands in its stack. */
function told({ message, stack = '' }: Thrown): string {
  const place = /[\w./-]+\.test\.ts:\d+/.exec(stack)?.[0]
  return `${message.slice(0, 1_000)}${place === undefined ? '' : ` (${place.split('/').at(-1)})`}`
}
