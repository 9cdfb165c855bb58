/**
 * Housekeeping on a machine: what jobs were allowed to keep there (MUSTER_KEEP) goes a week after the job's end. Runs when the machine
 * was adopted and once a day. Invariant: only what the record knows and knows to have ended is removed; everything else is left
 * alone, since other records may use the same directory.
 */
import { isJobId, isTerminal, quote } from '@muster/core'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'

const DAY_MS = 86_400_000
const KEEP_MS = 7 * DAY_MS

/** Removes kept directories whose time is over. */
export async function tidy(desk: Desk, machine: ManagedMachine): Promise<void> {
  const keep = quote(`${machine.probe.stateDir}/keep`)
  const { stdout } = await machine.access.run(`cd ${keep} && ls`, { signal: desk.over })
  const kept = stdout.toString().split('\n').filter(isJobId)
  const over = await Promise.all(kept.map((id) => isOver(desk, id)))
  const done = kept.filter((_, index) => over[index])
  if (done.length === 0) return
  await machine.access.run(`cd ${keep} && rm -rf -- ${done.join(' ')}`, { signal: desk.over })
  desk.logger.info({ machine: machine.name, jobs: done }, 'removed what jobs had kept, a week after their end')
}

async function isOver({ store, clock }: Desk, id: string): Promise<boolean> {
  const job = await store.get(id)
  return job !== undefined && isTerminal(job.state) && job.endedAt !== null && clock.now() - job.endedAt > KEEP_MS
}

/** Says when a day has passed since it was last asked; the first time at once. */
export function daily(desk: Desk): () => boolean {
  let last = -Infinity
  return () => {
    const now = desk.clock.monotonic()
    if (now - last < DAY_MS) return false
    last = now
    return true
  }
}
