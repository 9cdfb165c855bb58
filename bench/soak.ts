/** `npm run soak -- NAME [--OPTION VALUE]`: a conformance item at full length. It prints its seed and figures, and throws where one is wrong. */
import { parseArgs } from 'node:util'
import { refuse, runProgram } from './harness/load.js'

const text = { type: 'string' } as const
const { values, positionals } = parseArgs({
  options: { backend: text, seed: text, ops: text, minutes: text, jobs: text },
  allowPositionals: true,
})
const options = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
try {
  await runProgram(new URL('./soak/', import.meta.url), 'soak', positionals[0], { options })
} catch (error) {
  refuse(error)
}
