/** `muster restart`: run ended jobs again under the same id. */
import type { Muster } from '@muster/sdk'
import type { Command } from 'commander'
import { jobJson } from '../render/job.js'
import { findJob, forEach, withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

interface Flags {
  readonly force?: boolean
  readonly reason?: string
  readonly json?: boolean
}

export function addRestart(program: Command, { io, exit, report }: Surroundings): void {
  program
    .command('restart')
    .description('run ended jobs again: same id, next attempt')
    .argument('<id...>')
    .option('--force', 'even where an earlier attempt is not confirmed gone')
    .option('--reason <text>', 'kept in the history')
    .option(...JSON_OPTION)
    .action(async (ids: string[], { force, reason, json }: Flags) => {
      const restart = async (muster: Muster, id: string): Promise<void> => {
        const job = await findJob(muster, id)
        const record = await job.restart({ ...(force && { force }), ...(reason !== undefined && { reason }) })
        if (json) await io.json(jobJson(record))
        else io.say(`${job.id} is ${record.state} again; follow it with: muster logs -f ${job.id}`)
      }
      const failed = (error: unknown): void => {
        report(error, json ?? false)
      }
      exit(
        await withMuster(io, false, async (muster) => {
          const code = await forEach(ids, (id) => restart(muster, id), failed)
          await muster.warnIfNobodySchedules()
          return code
        }),
      )
    })
}
