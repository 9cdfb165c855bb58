/**
 * From a blow to the leader to the next one following the job. The job is told to end when the blow has landed, and what is waited
 * for is its end in the record, which only the next leader can have written: adopted, asked, followed, recorded. The next leader
 * is this process, which stands for the lease beside the old one.
 */
import type { JobHandle, Muster } from '@muster/sdk'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Records side by side, each with its own leader and successor. */
export const AT_ONCE = 5

/** Where a succession takes place. */
export interface Scene {
  /** The program that leads until it is killed: prints the id of a job once that runs, and ends when its input does. */
  readonly leader: string
  /** Its arguments, in the directory of a record. */
  arguments(directory: string): readonly string[]
  /** Opens the same record in this process. */
  open(directory: string): Promise<Muster>
  /** Lets the job end. Safe to repeat. */
  endJob(directory: string): Promise<void>
}

/** Some successions at once: all leaders lead before the first of them is hit. Gives the milliseconds of each. */
export async function successions(scene: Scene, directory: string, blow: 'SIGKILL' | 'SIGSTOP'): Promise<number[]> {
  const places = Array.from({ length: AT_ONCE }, (_, index) => join(directory, String(index)))
  const reigns = await Promise.all(places.map((place) => startReign(scene, place)))
  try {
    return await Promise.all(reigns.map((reign) => succession(scene, reign, blow)))
  } finally {
    await Promise.all(reigns.map((reign) => endReign(scene, reign)))
  }
}

/** A leader with a running job, and who follows it. */
interface Reign {
  readonly directory: string
  readonly leader: ChildProcess
  readonly successor: Muster
  readonly job: JobHandle
}

async function startReign(scene: Scene, directory: string): Promise<Reign> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const words = ['--import', 'tsx', scene.leader, ...scene.arguments(directory)]
  const leader = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const lines = createInterface(leader.stdout)
    const [id] = (await once(lines, 'line', { signal: AbortSignal.timeout(30_000) })) as [string]
    const successor = await scene.open(directory)
    return { directory, leader, successor, job: await successor.job(id) }
  } catch (error) {
    leader.kill('SIGKILL')
    throw error
  }
}

async function succession(scene: Scene, reign: Reign, blow: 'SIGKILL' | 'SIGSTOP'): Promise<number> {
  const { directory, leader, job } = reign
  const start = performance.now()
  const died = once(leader, 'exit')
  leader.kill(blow)
  if (blow === 'SIGKILL') await died
  await scene.endJob(directory)
  const { state, attempt } = await job.ended()
  const ms = performance.now() - start
  if (state !== 'completed' || attempt !== 1) throw new Error(`job ${job.id} is ${state} in attempt ${attempt}`)
  return ms
}

async function endReign(scene: Scene, { directory, leader, successor, job }: Reign): Promise<void> {
  leader.kill('SIGKILL')
  await scene.endJob(directory)
  await job.wait()
  await successor.close()
}
