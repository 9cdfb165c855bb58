/** The sum at the end of `npm test` must count what went wrong, also where no test could say so. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { TALLY_VARIABLE, tallyLine } from '../../scripts/lib/tally.js'
import { PlantedTree } from './planted.js'

const tree = new PlantedTree()
afterAll(() => {
  tree.remove()
})

const TESTS = {
  'mixed.test.ts': `import { expect, it } from 'vitest'
it('passes', () => {})
it('fails', () => { expect(1).toBe(2) })
it.skip('is skipped', () => {})`,
  'broken.test.ts': `import './not-there.js'`,
  'hook.test.ts': `import { afterAll, it } from 'vitest'
afterAll(() => { throw new Error('could not clean up') })
it('passes, but its file does not', () => {})`,
  'stray.test.ts': `import { it } from 'vitest'
it('leaves a rejection behind', () => { void Promise.reject(new Error('stray')) })`,
}

it('counts passed, failed and skipped tests, files that do not load, hooks that throw, and stray errors', async () => {
  for (const [name, text] of Object.entries(TESTS)) tree.plant(`tests/${name}`, text)
  const file = join(tree.root, 'tally')
  const reporter = resolve('scripts/lib/tally-reporter.ts')
  const { code } = await tree.judge('vitest', ['run', 'tests', '--reporter', reporter], { [TALLY_VARIABLE]: file })
  expect(code).not.toBe(0)
  const { failures, ...counts } = JSON.parse(readFileSync(file, 'utf8')) as { failures: string[] }
  expect(counts).toEqual({ passed: 3, failed: 4, skipped: 1 })
  // What is printed last of all: which failed, with what, and where.
  expect(failures.sort()).toEqual([
    expect.stringMatching(/^outside of all tests: stray/),
    expect.stringMatching(/broken\.test\.ts: .*not-there\.js/),
    expect.stringMatching(/hook\.test\.ts: could not clean up/),
    expect.stringMatching(/mixed\.test\.ts: fails \(.*\): expected 1 to be 2 .*\(mixed\.test\.ts:3\)/),
  ])
})

it('is told in one line', () => {
  expect(tallyLine({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed')
  expect(tallyLine({ passed: 12, failed: 1, skipped: 2 })).toBe('12 passed, 1 failed, 2 skipped')
})
