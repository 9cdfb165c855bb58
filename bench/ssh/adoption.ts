/**
 * From kill -9 of the leader to the next one following the job on a machine over SSH (../launch/succession.ts). A leader that is
 * only blocked (SIGSTOP) leaves no dead process to see, as one on another host would: there the lease has to pass. Printed beside.
 */
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Context } from '../harness/load.js'
import { percentile } from '../harness/measure.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { AT_ONCE, successions, type Scene } from '../launch/succession.js'
import { openThere, reach, there, withMachine } from './there.js'

const TIMES = 20
const LEASE_MS = 10_000

/** The sixth row of the table, first half. */
export function adoption(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const { scratch, log } = context
    const { host, port, user, identityFile, knownHosts } = machine
    const way = reach(machine)
    const endOfJob = (directory: string): string => `/tmp/end-${basename(join(directory, '..'))}-${basename(directory)}`
    const scene: Scene = {
      leader: fileURLToPath(new URL('leader.ts', import.meta.url)),
      arguments: (directory) => [
        directory,
        JSON.stringify({ host, port, user, identityFile, knownHosts }),
        endOfJob(directory),
      ],
      open: (directory) => openThere(directory, machine),
      endJob: async (directory) => {
        await there(way, `: >${endOfJob(directory)}`)
      },
    }
    try {
      const killed: number[] = []
      while (killed.length < TIMES)
        killed.push(...(await successions(scene, join(scratch, `killed-${killed.length}`), 'SIGKILL')))
      log(`adoption over SSH: ${killed.map(Math.round).join(' ')} ms after SIGKILL`)
      const blocked = await successions(scene, join(scratch, 'blocked'), 'SIGSTOP')
      const name = (blow: string, times: number): string =>
        `adoption over SSH after ${blow} of the leader, p95 of ${times}`
      const bar = { unit: 'ms', sense: 'at most', bar: LEASE_MS + 2_000 } as const
      return [
        absolute(percentile(killed, 95), { name: name('kill -9', TIMES), ...bar }),
        printed(percentile(blocked, 95), { name: name('SIGSTOP', AT_ONCE), unit: 'ms' }),
      ]
    } finally {
      await way.close()
    }
  })
}
