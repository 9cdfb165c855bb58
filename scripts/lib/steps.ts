/** Steps: named pieces of a check, each reported in one line with its time, and at length only where it failed. */
import { tally } from './tally.js'
import type { Ended } from './run.js'

/** One step. `counted` says that it counts its own tests, as a run of vitest does. */
export interface Step {
  readonly name: string
  readonly counted?: boolean
  run(): Promise<Ended>
}

/** Runs the steps in order, `lanes` at a time, and says whether all of them passed. */
export async function runSteps(steps: readonly Step[], lanes: number): Promise<boolean> {
  const waiting = [...steps]
  let allOk = true
  const lane = async (): Promise<void> => {
    for (let step = waiting.shift(); step; step = waiting.shift()) allOk = (await runStep(step)) && allOk
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return allOk
}

async function runStep(step: Step): Promise<boolean> {
  const before = tally.read()
  const { ok, output, ms } = await step.run()
  const more = tally.read()
  // Beside the verdict: whoever keeps only a part of a long output keeps this one.
  for (const failure of more.failures.slice(before.failures.length)) console.log(`FAIL  ${inOneLine(failure)}`)
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${step.name.padEnd(34)} ${(ms / 1000).toFixed(1).padStart(6)} s`)
  if (!ok && output !== '') console.log(excerpt(output).replace(/^/gm, '      '))
  // A run of vitest that died before it could count is a failure all the same.
  if (!step.counted || (!ok && more.failed === before.failed))
    tally.add(ok ? { passed: 1 } : { failed: 1, failures: [`${step.name}: ${output.slice(-1_000) || 'it failed'}`] })
  return ok
}

function inOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 400)
}

/** Of a long output both ends: the first errors explain the others, and a summary stands last. */
function excerpt(output: string): string {
  const lines = output.split('\n')
  const left = lines.length - 300
  return left > 0 ? [...lines.slice(0, 150), `… ${left} lines left out …`, ...lines.slice(-150)].join('\n') : output
}
