/**
 * The speed of one job's life on this machine: how fast jobs are recorded, started, followed, taken over and stopped. One file
 * for each row of the table. `BENCH_ROWS=submits,cancel` runs only those.
 */
import type { Program } from './harness/load.js'
import type { Measured } from './harness/result.js'
import { adoption } from './launch/adoption.js'
import { cancel } from './launch/cancel.js'
import { gitStart } from './launch/git-start.js'
import { logLatency } from './launch/log-latency.js'
import { submits } from './launch/submits.js'
import { throughput } from './launch/throughput.js'

const rows = { throughput, gitStart, submits, logLatency, adoption, cancel }

const launch: Program<readonly Measured[]> = async (context) => {
  const wanted = process.env['BENCH_ROWS']?.split(',')
  const results: Measured[] = []
  for (const [name, row] of Object.entries(rows)) {
    if (wanted && !wanted.includes(name)) continue
    context.log(`measuring ${name}`)
    results.push(...(await row(context)))
  }
  return results
}
export default launch
