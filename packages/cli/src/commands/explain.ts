/** `muster explain`: why a job is where it is, machine by machine. */
import type { Command } from 'commander'
import { findJob, withMuster } from '../session.js'
import { JSON_OPTION, type Surroundings } from './command.js'

export function addExplain(program: Command, { io }: Surroundings): void {
  program
    .command('explain')
    .description('say why a job is where it is')
    .argument('<id>')
    .option(...JSON_OPTION)
    .action((id: string, { json }: { json?: boolean }) =>
      withMuster(io, false, async (muster) => {
        const job = await findJob(muster, id)
        const explanation = await muster.cluster.explain(job.id)
        if (json) {
          await io.json({ type: 'explanation', id: job.id, ...explanation })
          return
        }
        await io.line(`${explanation.state}: ${explanation.sentence}`)
        for (const { machine, reason } of explanation.reasons) await io.line(`  ${machine ?? 'the cluster'}: ${reason}`)
        await io.line(`  scheduled by: ${explanation.leader ?? 'nobody'}`)
      }),
    )
}
