/** What an inspection of a running attempt changes in the record: its confirmed start, and its progress (at most once a second). */
import type { RunFacts } from '../launch/launcher.js'
import type { Desk } from './desk.js'
import type { ManagedMachine } from './machine.js'
import type { Tracked } from './tracked.js'

const PROGRESS_MS = 1_000
const lastProgress = new WeakMap<Tracked, { at: number; text: string }>()

/** Records the start that the machine confirmed, once. */
export async function noteRunning(
  desk: Desk,
  machine: ManagedMachine,
  t: Tracked,
  facts: Pick<RunFacts, 'startedAt' | 'tree'>,
): Promise<void> {
  if (t.live.job.state !== 'scheduled') return
  const { startedAt, tree } = facts
  const job = await desk.store.start(desk.epoch, t.ref, {
    ...(startedAt !== null && { startedAt }),
    tree,
    actor: `machine:${machine.name}`,
  })
  t.live = { ...t.live, job }
}

/** Records progress when it changed and the last was a while ago. */
export async function noteProgress(desk: Desk, t: Tracked, progress: RunFacts['progress']): Promise<void> {
  if (progress === null) return
  const text = `${progress.fraction} ${progress.message}`
  const last = lastProgress.get(t)
  const now = desk.clock.monotonic()
  if (last && (last.text === text || now - last.at < PROGRESS_MS)) return
  lastProgress.set(t, { at: now, text })
  await desk.store.setProgress(desk.epoch, t.ref, progress)
}
