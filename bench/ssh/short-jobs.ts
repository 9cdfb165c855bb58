/** Short jobs, for the rows that measure what a job costs beside its command. They end when the last one's log is here. */
import { command, type JobHandle, type Muster } from '@muster/sdk'
import { perSecond, timed } from '../harness/measure.js'

/** What they run. */
export const COMMAND = 'true'

/** Runs so many jobs, `width` at a time, and gives jobs a second. Throws when one does not complete. */
export async function runJobs(muster: Muster, jobs: number, width: number): Promise<number> {
  const handles: JobHandle[] = []
  const ms = await timed(async () => {
    await perSecond(jobs, width, async () => {
      const job = await muster.submit(command({ run: [COMMAND] }))
      handles.push(job)
      const { state } = await job.ended()
      if (state !== 'completed') throw new Error(`job ${job.id} is ${state}`)
    })
    await Promise.all(handles.map((job) => job.wait()))
  })
  return (jobs / ms) * 1_000
}
