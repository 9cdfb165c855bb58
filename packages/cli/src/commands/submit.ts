/** `muster submit`: record a job and print its id, alone, on standard output. */
import type { Command } from 'commander'
import { definitionOf, submitOptionsOf, withJobOptions, type JobFlags } from '../job-options.js'
import { jobJson } from '../render/job.js'
import { withMuster } from '../session.js'
import { submitJob } from '../submit-job.js'
import { JSON_OPTION, type Surroundings } from './command.js'

export function addSubmit(program: Command, { io }: Surroundings): void {
  withJobOptions(program.command('submit'))
    .description('record a job and print its id; a controller (muster up) runs it')
    .option(...JSON_OPTION)
    .action(async (words: string[], flags: JobFlags & { json?: boolean }) => {
      const definition = definitionOf(flags, words)
      const options = submitOptionsOf(flags)
      await withMuster(io, false, async (muster) => {
        const job = await submitJob(io, muster, { definition, options, repo: flags.repo })
        if (!job.created) io.say('this key names a job that exists already')
        await (flags.json ? io.json({ ...jobJson(await job.status()), created: job.created }) : io.line(job.id))
      })
    })
}
