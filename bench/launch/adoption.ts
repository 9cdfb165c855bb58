/**
 * From kill -9 of the leader to the next one following the job (succession.ts). A leader that is only blocked (SIGSTOP) leaves no
 * dead process to see, so there the lease has to pass; that figure is printed beside it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Context } from '../harness/load.js'
import { percentile } from '../harness/measure.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { openHere } from './here.js'
import { AT_ONCE, successions, type Scene } from './succession.js'

const TIMES = 20
const LEASE_MS = 10_000

const HERE: Scene = {
  leader: fileURLToPath(new URL('leader.ts', import.meta.url)),
  arguments: (directory) => [directory, join(directory, 'end')],
  open: (directory) => openHere(directory),
  endJob: async (directory) => writeFileSync(join(directory, 'end'), ''),
}

/** The fifth row of the table. */
export async function adoption({ scratch, log }: Context): Promise<readonly Measured[]> {
  const killed: number[] = []
  while (killed.length < TIMES)
    killed.push(...(await successions(HERE, join(scratch, `killed-${killed.length}`), 'SIGKILL')))
  log(`adoption: ${killed.map(Math.round).join(' ')} ms after SIGKILL`)
  const blocked = await successions(HERE, join(scratch, 'blocked'), 'SIGSTOP')
  return [
    absolute(percentile(killed, 95), {
      name: `adoption after kill -9 of the leader, p95 of ${TIMES}`,
      unit: 'ms',
      sense: 'at most',
      bar: LEASE_MS + 2_000,
    }),
    printed(percentile(blocked, 95), { name: `adoption after SIGSTOP of the leader, p95 of ${AT_ONCE}`, unit: 'ms' }),
  ]
}
