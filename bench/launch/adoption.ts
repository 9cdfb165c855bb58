/**
 * From kill -9 of the leader to the next one following the job. The job is told to end when the old leader is dead, and what is
 * waited for is its end in the record, which only the new leader can have written: adopted, asked, followed, recorded. The next
 * leader is this process, which stands for the lease beside the old one. A leader that is only blocked (SIGSTOP) leaves no
 * dead process to see, so there the lease has to pass; that figure is printed beside it.
 */
import type { JobHandle, Muster } from '@muster/sdk'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Context } from '../harness/load.js'
import { percentile } from '../harness/measure.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { openHere } from './here.js'

const TIMES = 20
/** Records side by side, each with its own leader, machine directory and successor. */
const AT_ONCE = 5
const LEASE_MS = 10_000

/** The fifth row of the table. */
export async function adoption({ scratch, log }: Context): Promise<readonly Measured[]> {
  const killed: number[] = []
  while (killed.length < TIMES) killed.push(...(await successions(join(scratch, `killed-${killed.length}`), 'SIGKILL')))
  log(`adoption: ${killed.map(Math.round).join(' ')} ms after SIGKILL`)
  const blocked = await successions(join(scratch, 'blocked'), 'SIGSTOP')
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

/** Some successions at once: all leaders lead before the first of them is hit. */
async function successions(directory: string, blow: 'SIGKILL' | 'SIGSTOP'): Promise<number[]> {
  const reigns = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) => startReign(join(directory, String(index)))),
  )
  try {
    return await Promise.all(reigns.map((reign) => succession(reign, blow)))
  } finally {
    await Promise.all(reigns.map(endReign))
  }
}

/** A leader with a running job, and who follows it. */
interface Reign {
  readonly leader: ChildProcess
  readonly successor: Muster
  readonly job: JobHandle
  /** The job ends once this file exists. */
  readonly endOfJob: string
}

async function startReign(directory: string): Promise<Reign> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const endOfJob = join(directory, 'end')
  const program = fileURLToPath(new URL('leader.ts', import.meta.url))
  const leader = spawn(process.execPath, ['--import', 'tsx', program, directory, endOfJob], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const [id] = (await once(createInterface(leader.stdout), 'line', { signal: AbortSignal.timeout(30_000) })) as [
      string,
    ]
    const successor = await openHere(directory)
    return { leader, successor, job: await successor.job(id), endOfJob }
  } catch (error) {
    leader.kill('SIGKILL')
    throw error
  }
}

async function succession({ leader, job, endOfJob }: Reign, blow: 'SIGKILL' | 'SIGSTOP'): Promise<number> {
  const start = performance.now()
  const died = once(leader, 'exit')
  leader.kill(blow)
  if (blow === 'SIGKILL') await died
  writeFileSync(endOfJob, '')
  const { state, attempt } = await job.ended()
  const ms = performance.now() - start
  if (state !== 'completed' || attempt !== 1) throw new Error(`job ${job.id} is ${state} in attempt ${attempt}`)
  return ms
}

async function endReign({ leader, successor, job, endOfJob }: Reign): Promise<void> {
  leader.kill('SIGKILL')
  if (!existsSync(endOfJob)) writeFileSync(endOfJob, '')
  await job.wait()
  await successor.close()
}
