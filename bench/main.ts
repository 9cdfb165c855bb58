/** `npm run bench -- NAME [--json]`: runs a bench and says whether its figures meet their bars (exit 1 where one does not). */
import { parseArgs } from 'node:util'
import { refuse, runProgram } from './harness/load.js'
import { asJson, asTable, environment } from './harness/report.js'
import type { Measured } from './harness/result.js'

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true })
try {
  const results = await runProgram<readonly Measured[]>(new URL('./', import.meta.url), 'bench', positionals[0])
  console.log(values.json ? asJson(results, environment()) : asTable(results))
  process.exitCode = results.every((one) => one.met) ? 0 : 1
} catch (error) {
  refuse(error)
}
