/**
 * The record alone: jobs that run elsewhere (a batch system, a colleague's script) with their history, restart and lists. No
 * cluster, no server: one file. Run it with: npx tsx examples/track-elsewhere.ts
 */
import { openJobManager } from '@muster/job-manager'

const jobs = await openJobManager({ store: process.argv[2] ?? 'jobs.db' })
await jobs.registerJob('slurm-4711', {
  worker: 'slurm',
  input: { script: 'train.sbatch' },
  labels: { paper: 'vision' },
})
await jobs.updateJobStatus('slurm-4711', 'running')
await jobs.updateJobStatus('slurm-4711', 'failed', { reason: 'oom', exitCode: 137 })
await jobs.restartJob('slurm-4711', { reason: 'with half the batch' })
await jobs.updateJobStatus('slurm-4711', 'completed', { output: { accuracy: 0.93 } })

for (const event of await jobs.history('slurm-4711')) console.log(event.sentence)
const { jobs: done } = await jobs.listJobs({ state: 'completed', labels: { paper: 'vision' } })
console.log(done.map((job) => `${job.spec.worker}: ${job.state} at attempt ${job.attempt}`).join('\n'))
await jobs.close()
