/** From a line that the job writes to the line in `job.logs()`. The jobs print the time; both sides read the same clock. */
import { command, type Muster } from '@muster/sdk'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { percentile } from '../harness/measure.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { openHere } from './here.js'

/** A brisk job, and some that are quiet for longer than a follower is patient. Pauses vary, so that no poll falls in step. */
export const PACES = [
  { lines: 120, minMs: 30, maxMs: 120 },
  { lines: 25, minMs: 200, maxMs: 600 },
  { lines: 25, minMs: 200, maxMs: 600 },
] as const
/** How often a job prints. */
export type Pace = (typeof PACES)[number]

/** The fourth row of the table. */
export async function logLatency({ scratch }: Context): Promise<readonly Measured[]> {
  const muster = await openHere(join(scratch, 'log-latency'))
  try {
    const latencies = (await Promise.all(PACES.map((pace) => follow(muster, pace)))).flat()
    const name = (quantile: string): string => `line written to line in job.logs(), ${quantile}`
    return [
      absolute(percentile(latencies, 95), { name: name('p95'), unit: 'ms', sense: 'at most', bar: 300 }),
      printed(percentile(latencies, 50), { name: name('p50'), unit: 'ms' }),
    ]
  } finally {
    await muster.close()
  }
}

/** Runs a job that prints the time at this pace. Gives each line's delay, its first not included: that one waits for the start. */
async function follow(muster: Muster, { lines, minMs, maxMs }: Pace): Promise<number[]> {
  const program = `
    let left = ${lines}
    const print = () => {
      console.log(Date.now())
      if (--left > 0) setTimeout(print, ${minMs} + Math.random() * ${maxMs - minMs})
    }
    print()`
  const job = await muster.submit(command({ run: [process.execPath, '-e', program] }))
  const delays: number[] = []
  for await (const { text } of job.logs()) delays.push(Date.now() - Number(text))
  if (delays.length !== lines) throw new Error(`${delays.length} lines of ${lines} arrived`)
  return delays.slice(1)
}
