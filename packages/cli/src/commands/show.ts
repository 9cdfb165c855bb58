/** `muster show`: everything about one job: what, where, when, why, and where its files are. */
import type { Command } from 'commander'
import type { Io } from '../io.js'
import { jobJson } from '../render/job.js'
import { details } from '../render/details.js'
import { liveLine } from '../render/progress.js'
import { findJob, withMuster } from '../session.js'
import type { JobHandle, Muster } from '@muster/sdk'
import { JSON_OPTION, type Surroundings } from './command.js'

interface Flags {
  readonly wait?: boolean
  readonly json?: boolean
}

export function addShow(program: Command, { io }: Surroundings): void {
  program
    .command('show')
    .description('show one job: times, attempts, events, where its files are')
    .argument('<id>')
    .option('--wait', 'wait until it has ended')
    .option(...JSON_OPTION)
    .action((id: string, flags: Flags) =>
      withMuster(io, flags.wait ? 'care' : false, async (muster) => {
        const job = await findJob(muster, id)
        if (flags.wait) await waitFor(io, muster, job)
        await print(io, muster, job, flags)
      }),
    )
}

async function waitFor(io: Io, muster: Muster, job: JobHandle): Promise<void> {
  let latest = await job.status()
  const known = (await muster.jobs.history(job.id)).at(-1)?.seq ?? 0
  const stop = io.watch(() => liveLine(latest, io))
  try {
    for await (const event of job.events()) {
      latest = await job.status()
      if (!io.err.isTTY && event.seq > known) io.say(event.sentence)
    }
  } finally {
    stop()
  }
}

async function print(io: Io, muster: Muster, job: JobHandle, { json }: Flags): Promise<void> {
  const record = await job.status()
  const attempts = await muster.jobs.attempts(job.id)
  const events = await muster.jobs.history(job.id)
  if (json) {
    await io.json({ ...jobJson(record), spec: record.spec, payload: record.payload, attempts, events })
    return
  }
  const { sentence } = await muster.cluster.explain(job.id)
  const files = muster.filesOf(job.id)
  for (const line of details({ record, attempts, events, sentence, files }, io)) await io.line(line)
}
