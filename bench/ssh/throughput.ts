/**
 * Jobs started and finished a second on a machine over SSH, against one `ssh host command` process for each job and against the
 * supervisor's bare steps over one channel. The clock stops when the last job's log is here, so no round leaves work behind.
 */
import { join } from 'node:path'
import { Client } from 'ssh2'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import type { Context } from '../harness/load.js'
import { interleaved, median, perSecond } from '../harness/measure.js'
import { comparedTo, printed, type Measured } from '../harness/result.js'
import { openHandShell } from './hand-steps.js'
import { sshEach } from './processes.js'
import { COMMAND, runJobs } from './short-jobs.js'
import { openThere, opensshArguments, reach, withMachine, type Way } from './there.js'

const ROUNDS = 7
const WIDTH = 32
const JOBS = 128
const WARM_UP = 200
/** What an `ssh` process for each job is tried at; a round of it has fewer jobs, since it is slow. */
const PEER_WIDTHS = [4, 8, 16]
const PEER_JOBS = 48
const PEER_TRIALS = 3

/** The first row of the table. */
export function throughput(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const way = reach(machine)
    const ssh = opensshArguments(join(context.scratch, 'throughput'), machine)
    const muster = await openThere(join(context.scratch, 'throughput'), machine)
    try {
      // What is compared is a controller that is up: one that has run some jobs, so that its code is compiled.
      await runJobs(muster, WARM_UP, WIDTH)
      const each = sshEach(ssh)
      const width = await bestWidth(each, context)
      const ours = (): Promise<number> => runJobs(muster, JOBS, WIDTH)
      const name = (peer: string): string => `jobs started and finished over SSH, ${WIDTH} at a time, against ${peer}`
      const apart = await interleaved(ROUNDS, ours, () => perSecond(PEER_JOBS, width, () => each(COMMAND)))
      const shell = await openHandShell(way, ssh)
      const bare = await interleaved(ROUNDS, ours, () => perSecond(JOBS, WIDTH, () => shell.run(COMMAND)))
      await shell.close()
      return [
        comparedTo(`ssh host command, ${width} at a time`, apart, {
          name: name('ssh processes'),
          unit: '/s',
          sense: 'at least',
          bar: 3,
        }),
        comparedTo("supervisor's bare steps, one channel", bare, {
          name: name('bare steps'),
          unit: '/s',
          sense: 'at least',
          bar: 0.5,
        }),
        printed(await execsPerSecond(machine), {
          name: `exec on one shared connection, ${WIDTH} at a time, unsupervised`,
          unit: '/s',
        }),
      ]
    } finally {
      await muster.close()
      await way.close()
    }
  })
}

/** The width at which the peer does best, by the median of some trials that take turns. */
async function bestWidth(each: (command: string) => Promise<void>, { log }: Context): Promise<number> {
  const rates = new Map(PEER_WIDTHS.map((width) => [width, [] as number[]]))
  for (let trial = 0; trial < PEER_TRIALS; trial += 1)
    for (const [width, found] of rates) found.push(await perSecond(PEER_JOBS, width, () => each(COMMAND)))
  const ranked = [...rates].map(([width, found]) => ({ width, rate: median(found) })).sort((a, b) => b.rate - a.rate)
  log(`ssh host command: ${ranked.map(({ width, rate }) => `${width} wide ${rate.toFixed(1)}/s`).join(', ')}`)
  return ranked[0]?.width ?? NaN
}

/** Commands a second on one connection of the library that muster uses, without supervision or record. */
async function execsPerSecond({ host, port, user, identityFile }: Way): Promise<number> {
  const client = new Client()
  const ready = once(client, 'ready')
  client.connect({ host, port, username: user, privateKey: readFileSync(identityFile) })
  await ready
  const exec = (): Promise<void> =>
    new Promise((resolve, reject) => {
      client.exec(COMMAND, (error, stream) => {
        if (error) return reject(error)
        stream.resume().on('close', (code: number | null) => {
          if (code === 0) resolve()
          else reject(new Error(`exec ended with ${String(code)}`))
        })
      })
    })
  try {
    return await perSecond(JOBS, WIDTH, exec)
  } finally {
    client.end()
  }
}
