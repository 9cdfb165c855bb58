/**
 * Jobs started and finished a second, against a supervisor written by hand. The clock stops when the last job's log is here, so
 * no round leaves work behind for the next.
 */
import { command, type JobHandle } from '@muster/sdk'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { interleaved, perSecond, timed } from '../harness/measure.js'
import { comparedTo, printed, type Measured } from '../harness/result.js'
import { bareSpawn, handSupervisor } from './hand-supervisor.js'
import { openHere } from './here.js'

const ROUNDS = 7
const WIDTHS = [
  { width: 1, jobs: 40 },
  { width: 32, jobs: 128 },
] as const
const COMMAND = ['true']
const WARM_UP = 200

/** The first row of the table. */
export async function throughput({ scratch }: Context): Promise<readonly Measured[]> {
  const supervise = handSupervisor(join(scratch, 'supervised'))
  const muster = await openHere(join(scratch, 'throughput'))
  const results: Measured[] = []
  const ours = async (jobs: number, width: number): Promise<number> => {
    const handles: JobHandle[] = []
    const ms = await timed(async () => {
      await perSecond(jobs, width, async () => {
        const job = await muster.submit(command({ run: COMMAND }))
        handles.push(job)
        const { state } = await job.ended()
        if (state !== 'completed') throw new Error(`job ${job.id} is ${state}`)
      })
      await Promise.all(handles.map((job) => job.wait()))
    })
    return (jobs / ms) * 1_000
  }
  try {
    // What is compared is a controller that is up: one that has run some jobs, so that its code is compiled.
    await ours(WARM_UP, 32)
    for (const { width, jobs } of WIDTHS) {
      const name = `jobs started and finished, ${width} at a time`
      const rounds = await interleaved(
        ROUNDS,
        () => ours(jobs, width),
        () => perSecond(jobs, width, () => supervise(COMMAND)),
      )
      results.push(comparedTo('supervisor by hand in sh', rounds, { name, unit: '/s', sense: 'at least', bar: 0.5 }))
      const bare = await perSecond(jobs * 2, width, () => bareSpawn(COMMAND))
      results.push(printed(bare, { name: `bare spawn, ${width} at a time`, unit: '/s' }))
    }
  } finally {
    await muster.close()
  }
  return results
}
