/**
 * `npm run bench -- NAME [--json] [--backend NAME]`: runs a bench and says whether its figures meet their bars (exit 1 where one
 * does not).
 */
import { parseArgs } from 'node:util'
import { refuse, runProgram, type Given } from './harness/load.js'
import { asJson, asTable, environment } from './harness/report.js'
import type { Measured } from './harness/result.js'

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, backend: { type: 'string' } },
  allowPositionals: true,
})
const facts: Record<string, unknown> = {}
const given: Given = {
  options: values.backend === undefined ? {} : { backend: values.backend },
  note: (fact, value) => (facts[fact] = value),
}
try {
  const results = await runProgram<readonly Measured[]>(new URL('./', import.meta.url), 'bench', positionals[0], given)
  console.log(values.json ? asJson(results, { ...environment(), ...facts }) : asTable(results, facts))
  process.exitCode = results.every((one) => one.met) ? 0 : 1
} catch (error) {
  refuse(error)
}
