/** The README's promise: this repository's HEAD runs here, and all that the quickstart shows is true. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { example, Home } from './run.js'

let home: Home
beforeAll(async () => {
  home = await Home.make()
})
afterAll(() => home.close())

function shown(lines: readonly string[], label: string): string {
  return (
    lines
      .find((line) => line.startsWith(label))
      ?.slice(label.length)
      .trim() ?? ''
  )
}

test('npm run quickstart: queued, placed, set up, run; lines, result, times, and where everything is', async () => {
  const lines = await home.node(['--import', 'tsx', example('quickstart.ts')])
  const all = lines.join('\n')
  for (const phase of [
    'submitted by',
    'queued',
    'placed on local, being set up',
    'runs on local',
    'completed',
    'collected',
  ])
    expect(all).toMatch(new RegExp(`\\+\\d+\\.\\d\\d s {2}.*${phase}`))
  expect(lines.filter((line) => line.startsWith('epoch')).length).toBeGreaterThanOrEqual(20)
  expect(JSON.parse(shown(lines, 'result').replace(/, after .*/, ''))).toMatchObject({ accuracy: 1 })
  expect(await readFile(shown(lines, 'artifact').split('  ')[0] ?? '', 'utf8')).toMatch(/^<svg /)
  expect(await readFile(shown(lines, 'log'), 'utf8')).toContain('done: accuracy')
  expect(shown(lines, 'record')).toBe(`sqlite:${home.path}/state/muster/jobs.db`)
  expect(shown(lines, 'try next')).toMatch(/^npx @muster\/cli show [0-9a-f-]{36}$/)
})

test('unchanged under ts-node', async () => {
  const lines = await home.node(['--no-warnings', '--loader', 'ts-node/esm', example('quickstart.ts')])
  expect(shown(lines, 'result')).toContain('"accuracy":1')
})

test('outside of a repository it says what is wrong, without a stack', async () => {
  const failed = home.node(['--import', import.meta.resolve('tsx'), example('quickstart.ts')], home.path)
  await expect(failed).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^[^\n]*\[REPO_NOT_FOUND\]\n[^\n]+\n$/) as string,
  })
})
