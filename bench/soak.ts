/** `npm run soak -- NAME`: a conformance item at full length. It prints its seed and figures, and throws where one is wrong. */
import { refuse, runProgram } from './harness/load.js'

try {
  await runProgram(new URL('./soak/', import.meta.url), 'soak', process.argv[2])
} catch (error) {
  refuse(error)
}
