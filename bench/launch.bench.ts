/**
 * The speed of one job's life on this machine: how fast jobs are recorded, started, followed, taken over and stopped. One file
 * for each row of the table. `BENCH_ROWS=submits,cancel` runs only those.
 */
import { runRows } from './harness/rows.js'
import { adoption } from './launch/adoption.js'
import { cancel } from './launch/cancel.js'
import { gitStart } from './launch/git-start.js'
import { logLatency } from './launch/log-latency.js'
import { submits } from './launch/submits.js'
import { throughput } from './launch/throughput.js'

export default runRows({ throughput, gitStart, submits, logLatency, adoption, cancel })
