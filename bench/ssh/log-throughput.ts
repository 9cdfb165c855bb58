/**
 * Ten jobs at once that print as fast as they can, followed live, against `ssh host cat` of the same bytes ten times at once. Both
 * sides begin with nothing (a submit, a login) and end when the last byte is here and hashed. Our jobs stay until then, so what is
 * read is the log of a running attempt; afterwards the whole log must hash to what was printed.
 */
import { command, type JobHandle, type Muster } from '@muster/sdk'
import type { SshTransport } from '@muster/cluster'
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { interleaved, timed } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { openThere, opensshArguments, reach, there, withMachine } from './there.js'

const ROUNDS = 5
const JOBS = 10
const BYTES = 16 * 1024 * 1024
const MIB = 1024 * 1024
const FILE = '/home/ada/to-print'

/** The fifth row of the table. */
export function logThroughput(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const directory = join(context.scratch, 'log-throughput')
    const way = reach(machine)
    const ssh = opensshArguments(directory, machine)
    const muster = await openThere(directory, machine)
    try {
      const digest = await makeText(way)
      const rounds = await interleaved(
        ROUNDS,
        () => followJobs(muster, way, digest),
        () => catFiles(ssh, digest),
      )
      const name = `log followed live over SSH, ${JOBS} jobs at once, no byte lost`
      return [
        comparedTo('ssh host cat of the same bytes', rounds, { name, unit: 'MiB/s', sense: 'at least', bar: 0.5 }),
      ]
    } finally {
      await muster.close()
      await way.close()
    }
  })
}

/** Writes lines of text there that do not compress to nothing. Gives their digest. */
async function makeText(way: SshTransport): Promise<string> {
  await there(way, `head -c ${BYTES} /dev/urandom | base64 -w 119 | head -c ${BYTES} >${FILE}`)
  return (await there(way, `sha256sum ${FILE}`)).split(' ')[0] ?? ''
}

async function followJobs(muster: Muster, way: SshTransport, digest: string): Promise<number> {
  const over = `/tmp/over-${randomUUID()}`
  const program = `cat ${FILE}; while [ ! -e ${over} ]; do sleep 0.05; done`
  const jobs: JobHandle[] = []
  const ms = await timed(async () => {
    const lane = async (): Promise<void> => {
      const job = await muster.submit(command({ run: program }), { timeout: '5m' })
      jobs.push(job)
      const hash = createHash('sha256')
      let bytes = 0
      for await (const piece of job.logBytes()) {
        hash.update(piece.bytes)
        bytes += piece.bytes.length
        if (bytes >= BYTES) break
      }
      if (hash.digest('hex') !== digest) throw new Error(`the log of ${job.id} is not what was printed`)
    }
    await Promise.all(Array.from({ length: JOBS }, lane))
  })
  await there(way, `: >${over}`)
  await Promise.all(jobs.map((job) => job.wait()))
  await there(way, `rm ${over}; sync`)
  return (JOBS * BYTES) / MIB / (ms / 1_000)
}

async function catFiles(ssh: readonly string[], digest: string): Promise<number> {
  const ms = await timed(async () => {
    const lane = async (): Promise<void> => {
      const child = spawn('ssh', [...ssh, 'bench', `cat ${FILE}`], { stdio: ['ignore', 'pipe', 'inherit'] })
      const closed = once(child, 'close')
      const hash = createHash('sha256')
      for await (const bytes of child.stdout) hash.update(bytes as Buffer)
      await closed
      if (hash.digest('hex') !== digest) throw new Error('ssh host cat brought something else')
    }
    await Promise.all(Array.from({ length: JOBS }, lane))
  })
  return (JOBS * BYTES) / MIB / (ms / 1_000)
}
