/**
 * The speed of one job's life on a machine over SSH: how fast jobs start there, are observed, followed, taken over and stopped. One
 * file for each row of the table. `BENCH_ROWS=throughput,cancel` runs only those.
 */
import { holdEngine } from '../scripts/lib/engine.js'
import type { Program } from './harness/load.js'
import type { Measured } from './harness/result.js'
import { runRows } from './harness/rows.js'
import { adoption } from './ssh/adoption.js'
import { cancel } from './ssh/cancel.js'
import { gitStart } from './ssh/git-start.js'
import { logLatency } from './ssh/log-latency.js'
import { logThroughput } from './ssh/log-throughput.js'
import { observe } from './ssh/observe.js'
import { costs } from './ssh/costs.js'
import { throughput } from './ssh/throughput.js'

const table = runRows({ throughput, costs, observe, gitStart, logLatency, logThroughput, adoption, cancel })

const ssh: Program<readonly Measured[]> = async (context) => {
  const release = await holdEngine(context.log)
  try {
    return await table(context)
  } finally {
    await release()
  }
}
export default ssh
