/** `muster cancel`: ask jobs to stop, and wait until nothing of them is left. */
import { isTerminal } from '@muster/core'
import type { Muster } from '@muster/sdk'
import type { Command } from 'commander'
import type { Io } from '../io.js'
import { jobJson, outcome } from '../render/job.js'
import { liveLine } from '../render/progress.js'
import { findJob, forEach, withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

interface Flags {
  readonly wait: boolean
  readonly reason?: string
  readonly json?: boolean
}

export function addCancel(program: Command, { io, exit, report }: Surroundings): void {
  program
    .command('cancel')
    .description('cancel jobs, and wait until nothing of them is left')
    .argument('<id...>')
    .option('--reason <text>', 'kept in the history')
    .option('--no-wait', 'only record the wish')
    .option(...JSON_OPTION)
    .action(async (ids: string[], flags: Flags) => {
      const failed = (error: unknown): void => {
        report(error, flags.json ?? false)
      }
      const work = (muster: Muster) => forEach(ids, (id) => cancel(io, muster, id, flags), failed)
      exit(await withMuster(io, flags.wait ? 'care' : false, work))
    })
}

async function cancel(io: Io, muster: Muster, id: string, { wait, reason, json }: Flags): Promise<void> {
  const job = await findJob(muster, id)
  const before = await job.status()
  let latest = await job.cancel(reason)
  if (wait && !isTerminal(latest.state)) {
    const stop = io.watch(() => liveLine(latest, io))
    latest = await io.patiently(`waiting until nothing of ${job.id} is left`, () => job.ended()).finally(stop)
  }
  if (json) await io.json(jobJson(latest))
  else if (isTerminal(before.state)) io.say(`${job.id} had ended before: ${outcome(before)}`)
  else io.say(`${job.id} ${isTerminal(latest.state) ? outcome(latest) : 'is asked to stop'}`)
}
