/**
 * From a line that a job on a machine over SSH writes to the line in `job.logs()`. The jobs print the time, before it is written;
 * both sides read the same clock, since the machine is a container here. Pauses vary, so that no poll falls in step.
 */
import { command, type Muster } from '@muster/sdk'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { percentile } from '../harness/measure.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { PACES, type Pace } from '../launch/log-latency.js'
import { openThere, withMachine } from './there.js'

/** The fourth row of the table. */
export function logLatency(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const muster = await openThere(join(context.scratch, 'log-latency'), machine)
    try {
      const latencies = (await Promise.all(PACES.map((pace) => follow(muster, pace)))).flat()
      const name = (quantile: string): string => `line written there to line in job.logs() over SSH, ${quantile}`
      return [
        absolute(percentile(latencies, 95), { name: name('p95'), unit: 'ms', sense: 'at most', bar: 300 }),
        printed(percentile(latencies, 50), { name: name('p50'), unit: 'ms' }),
      ]
    } finally {
      await muster.close()
    }
  })
}

/** Runs a job that prints the time at this pace. Gives each line's delay, its first not included: that one waits for the start. */
async function follow(muster: Muster, { lines, minMs, maxMs }: Pace): Promise<number[]> {
  const pauses = Array.from({ length: lines }, () => ((minMs + Math.random() * (maxMs - minMs)) / 1_000).toFixed(3))
  const program = `for pause in ${pauses.join(' ')}; do date +%s%3N; sleep $pause; done`
  const job = await muster.submit(command({ run: program }))
  const delays: number[] = []
  for await (const { text } of job.logs()) delays.push(Date.now() - Number(text))
  if (delays.length !== lines) throw new Error(`${delays.length} lines of ${lines} arrived`)
  return delays.slice(1)
}
