/** `muster logs`: the lines of a job, all attempts, from the first byte; with -f until it has ended. */
import type { Command } from 'commander'
import { sanitize } from '../render/sanitize.js'
import { findJob, withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

interface Flags {
  readonly follow?: boolean
  readonly raw?: boolean
  readonly json?: boolean
}

export function addLogs(program: Command, { io }: Surroundings): void {
  program
    .command('logs')
    .description("print a job's lines")
    .argument('<id>')
    .option('-f, --follow', 'wait for more until the job has ended')
    .option('--raw', 'print the bytes as they are, control sequences included')
    .option(...JSON_OPTION)
    .action((id: string, flags: Flags) =>
      withMuster(io, flags.follow ? 'care' : false, async (muster) => {
        const job = await findJob(muster, id)
        const options = { follow: flags.follow ?? false, signal: io.unread }
        try {
          if (flags.raw) for await (const { bytes } of job.logBytes(options)) await io.bytes(bytes)
          else
            for await (const line of job.logs(options))
              await (flags.json
                ? io.json({ type: 'line', id: job.id, ...line })
                : io.line(sanitize(line.text, io.showsColour)))
        } catch (error) {
          if (!io.unread.aborted) throw error
        }
      }),
    )
}
