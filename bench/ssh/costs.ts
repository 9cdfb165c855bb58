/**
 * What a job over SSH costs, in processor time on both sides, beside the bare steps by hand: on a bench where machine and controller
 * share their processors, the rate is one over this. Noise hardly moves it, so a change is judged by it.
 */
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { median, perSecond, type Side } from '../harness/measure.js'
import { printed, type Measured } from '../harness/result.js'
import { openHandShell } from './hand-steps.js'
import { COMMAND, runJobs } from './short-jobs.js'
import { openThere, opensshArguments, reach, there, withMachine } from './there.js'
import { systemClock } from '@muster/core'
import type { SshTransport } from '@muster/cluster'
import { readFileSync } from 'node:fs'

const ROUNDS = 3
const WIDTH = 32
const JOBS = 256
const WARM_UP = 300
/** Directories are removed a moment after their jobs' ends. */
const SETTLED_MS = 700

interface Cost {
  readonly here: number
  readonly there: number
  readonly forks: number
}

/** What jobs cost, printed. */
export function costs(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const way = reach(machine)
    const directory = join(context.scratch, 'costs')
    const muster = await openThere(directory, machine)
    const shell = await openHandShell(way, opensshArguments(directory, machine))
    try {
      await runJobs(muster, WARM_UP, WIDTH)
      const [ours, hand] = await interleavedCosts(way, [
        () => runJobs(muster, JOBS, WIDTH),
        () => perSecond(JOBS, WIDTH, () => shell.run(COMMAND)),
      ])
      return [...figures('a job', ours), ...figures("a job's bare steps", hand)]
    } finally {
      await shell.close()
      await muster.close()
      await way.close()
    }
  })
}

function figures(what: string, { here, there, forks }: Cost): Measured[] {
  return [
    printed(here, { name: `${what}: processor time of this process`, unit: 'ms' }),
    printed(there, { name: `${what}: processor time of the machine, its sshd included`, unit: 'ms' }),
    printed(forks, { name: `${what}: processes and threads that were made on this host meanwhile`, unit: '' }),
  ]
}

/** The medians of some rounds, for one job; the sides take turns. */
async function interleavedCosts(way: SshTransport, sides: readonly [Side, Side]): Promise<readonly [Cost, Cost]> {
  const found: readonly [Cost[], Cost[]] = [[], []]
  for (let rounds = 0; rounds < ROUNDS; rounds += 1)
    for (const [index, side] of sides.entries()) found[index === 0 ? 0 : 1].push(await costOf(way, side))
  return [medianOf(found[0]), medianOf(found[1])]
}

async function costOf(way: SshTransport, round: Side): Promise<Cost> {
  const before = await reading(way)
  await round()
  await systemClock.sleep(SETTLED_MS)
  const after = await reading(way)
  const part = (key: keyof Cost): number => (after[key] - before[key]) / JOBS
  return { here: part('here'), there: part('there'), forks: part('forks') }
}

function medianOf(found: readonly Cost[]): Cost {
  const of = (key: keyof Cost): number => median(found.map((cost) => cost[key]))
  return { here: of('here'), there: of('there'), forks: of('forks') }
}

/** Milliseconds of processor time so far, here and there, and processes made. */
async function reading(way: SshTransport): Promise<Cost> {
  const usage = await there(
    way,
    'cd /sys/fs/cgroup; if [ -e cpu.stat ] && grep usage_usec cpu.stat; then :; else cat cpuacct/cpuacct.usage; fi',
  )
  const [, usec] = /usage_usec (\d+)/.exec(usage) ?? []
  const { user, system } = process.cpuUsage()
  const [, forks] = /^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8')) ?? []
  return {
    here: (user + system) / 1_000,
    there: usec === undefined ? Number(usage) / 1e6 : Number(usec) / 1_000,
    forks: Number(forks),
  }
}
