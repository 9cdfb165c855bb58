/**
 * The speed of queues on each backend, against what people use there: BullMQ on the same Redis, amqplib by hand on the same RabbitMQ,
 * p-queue and fastq in this process. `--backend redis` runs the rows of one; `BENCH_ROWS=local,redisPublish` runs only those.
 */
import { holdEngine } from '../scripts/lib/engine.js'
import type { Program } from './harness/load.js'
import type { Measured } from './harness/result.js'
import { runRows } from './harness/rows.js'
import { lazyServers } from './queue/servers.js'
import { rowsOf } from './queue/table.js'

const queue: Program<readonly Measured[]> = async (context) => {
  const servers = lazyServers(context)
  const rows = rowsOf(servers, context.options['backend'])
  const release = await holdEngine(context.log)
  try {
    return await runRows(rows)(context)
  } finally {
    await servers.close()
    await release()
  }
}
export default queue
