/**
 * Housekeeping: what jobs were allowed to keep on a machine (MUSTER_KEEP) goes a week after the job's end, and workers remove what they
 * keep between jobs. Runs when the machine was adopted and once a day. Invariant: only what the record knows and knows to have
 * ended is removed; everything else is left alone, since other records may use the same directory.
 */
import { isJobId, isTerminal, LIVE_STATES, quote, WAITING_STATES, type JsonValue } from '@muster/core'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'

const DAY_MS = 86_400_000
const KEEP_MS = 7 * DAY_MS
const PAGE = 1_000

/** Removes kept directories whose time is over, and what workers have on the machine without need. */
export async function tidy(desk: Desk, machine: ManagedMachine): Promise<void> {
  await removeKept(desk, machine)
  await tidyWorkers(desk, machine)
}

/** The workers' part where the leader is. */
export async function tidyHere(desk: Desk): Promise<void> {
  await tidyWorkers(desk, null)
}

/** Each worker by itself: what one cannot do is logged and keeps no other from it. */
async function tidyWorkers(desk: Desk, machine: ManagedMachine | null): Promise<void> {
  const { workers, over: signal, logger } = desk
  for (const [name, worker] of workers) {
    const context = { signal, logger, progress: (text: string): void => logger.debug({ worker: name }, text) }
    try {
      await worker.tidy?.(
        machine?.access ?? null,
        machine ? livePayloads(desk, name, machine) : unended(desk, name),
        context,
      )
    } catch (error) {
      if (signal.aborted) return
      logger.warn({ err: error, worker: name, machine: machine?.name ?? null }, 'a worker could not tidy up')
    }
  }
}

async function* livePayloads({ store }: Desk, worker: string, { name }: ManagedMachine): AsyncGenerator<JsonValue> {
  for (const { job } of await store.live({ machine: name })) if (job.spec.worker === worker) yield job.payload
}

async function* unended({ store }: Desk, worker: string): AsyncGenerator<JsonValue> {
  const filter = { worker, state: [...WAITING_STATES, ...LIVE_STATES] }
  let after: string | undefined
  do {
    const page = await store.list(filter, { limit: PAGE, ...(after !== undefined && { after }) })
    yield* page.jobs.map(({ payload }) => payload)
    after = page.next
  } while (after !== undefined)
}

async function removeKept(desk: Desk, machine: ManagedMachine): Promise<void> {
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
