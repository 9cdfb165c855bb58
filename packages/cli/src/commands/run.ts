/** `muster run`: submit a job, schedule it, follow it; the exit code is the job's. */
import type { Command } from 'commander'
import { followJob } from '../follow.js'
import { definitionOf, submitOptionsOf, withJobOptions, type JobFlags } from '../job-options.js'
import { withMuster } from '../session.js'
import { submitJob } from '../submit-job.js'
import { JSON_OPTION, type Surroundings } from './command.js'

export function addRun(program: Command, { io, exit }: Surroundings): void {
  withJobOptions(program.command('run'))
    .description('run a command on a commit, and follow it; exits with its code')
    .option('--raw', "print the job's bytes as they are, control sequences included")
    .option(...JSON_OPTION)
    .addHelpText('after', "\nExit code: the job's, 128+n for a signal, 125 when muster itself failed.")
    .action(async (words: string[], flags: JobFlags & { raw?: boolean; json?: boolean }) => {
      const definition = definitionOf(flags, words)
      const options = submitOptionsOf(flags)
      exit(
        await withMuster(io, true, async (muster) => {
          const job = await submitJob(io, muster, { definition, options, repo: flags.repo })
          io.say(job.created ? `job ${job.id}` : `job ${job.id} exists already under this key; following it`)
          return followJob(io, muster, job, flags)
        }),
      )
    })
}
