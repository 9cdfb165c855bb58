/** CI runs what the README tells people to run, and nothing else. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

it('.ci/run runs exactly the test command of the README', () => {
  const command = /Tests, all of them[^`]*`([^`]+)`/.exec(readFileSync('README.md', 'utf8'))?.[1]
  const lines = readFileSync('.ci/run', 'utf8').trim().split('\n')
  expect(command).toBe('npm ci && npm test')
  expect(lines.at(-1)).toBe(command)
  expect(lines.slice(0, -1).filter((line) => !/^(#|set -e$|cd )/.test(line))).toEqual([])
})
