/**
 * `npm test`: everything. Its last line is the sum over all stages. Red where a test or step failed, where something of
 * ours is left on the machine, and in CI also where a test was skipped.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { holdEngine, type Release } from './lib/engine.js'
import { nodeSteps } from './lib/nodes.js'
import { prerequisites } from './lib/prerequisites.js'
import { run, tool } from './lib/run.js'
import { runSteps, type Step } from './lib/steps.js'
import { sweep } from './lib/sweep.js'
import { TALLY_VARIABLE, tally, tallyLine } from './lib/tally.js'
import { testEnvironment } from './lib/test-home.js'

const began = performance.now()
const root = mkdtempSync(join(tmpdir(), 'muster-test-run-'))
const marker = `marker-${randomBytes(16).toString('hex')}`
const environment = { ...testEnvironment(root), PLANTED_MARKER: marker }
process.env[TALLY_VARIABLE] = join(root, 'tally')
process.once('SIGINT', () => process.exit(130))
process.once('exit', () => rmSync(root, { recursive: true, force: true }))

const stage = (project: string, minutes: number): Step => ({
  name: `${project} tests`,
  counted: true,
  run: () =>
    run(tool('vitest', 'run', '--project', project), { env: environment, show: true, limitMs: minutes * 60_000 }),
})

/** The promises on a server of queues; on local the integration stage has run them. */
const promises = (backend: string): Step => ({
  name: `promises on ${backend}`,
  counted: true,
  run: () =>
    run(tool('vitest', 'run', '--project', 'promises'), {
      env: { ...environment, MUSTER_TEST_BACKEND: backend },
      show: true,
      limitMs: 5 * 60_000,
    }),
})

const check: Step = { name: 'check', counted: true, run: () => run(tool('tsx', 'scripts/check.ts'), { show: true }) }

const sweeping: Step = {
  name: 'sweep',
  run: async () => {
    const start = performance.now()
    const left = await sweep(root, marker)
    return { ok: left.length === 0, output: left.join('\n'), ms: performance.now() - start }
  },
}

const engine = (await prerequisites()) ? await anEngine() : undefined
if (engine !== undefined) {
  const stages = [
    check,
    stage('workshop', 5),
    ...nodeSteps,
    stage('integration', 22),
    promises('redis'),
    promises('rabbitmq'),
    stage('examples', 5),
    sweeping,
  ]
  const passed = await runSteps(stages, 1)
  await engine()
  const counts = tally.read()
  const inCi = !['', '0', 'false'].includes(process.env['CI'] ?? '')
  const skippedInCi = inCi && counts.skipped > 0
  if (skippedInCi) console.log('FAIL  tests were skipped, which CI does not allow')
  process.exitCode = passed && !skippedInCi && counts.failed === 0 ? 0 : 1
  // Last of all: whoever sees only the end of a long output, as after a run in CI, sees what failed.
  for (const failure of counts.failures) console.log(`FAIL  ${failure}`)
  console.log(`${((performance.now() - began) / 60_000).toFixed(1)} min in all`)
  console.log(tallyLine(counts))
} else {
  console.log(tallyLine({ passed: 0, failed: 1, skipped: 0 }))
  process.exitCode = 1
}

/** Held over all stages: what one stage ended the next would have to start again. */
async function anEngine(): Promise<Release | undefined> {
  try {
    return await holdEngine(console.log)
  } catch (error) {
    console.error(`cannot test here: ${String(error)}`)
    return undefined
  }
}
