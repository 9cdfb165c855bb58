/**
 * Cancel of a tree that ignores TERM: from the call to nothing left of it, by /proc and not by our own word, less the grace that
 * the job was given. The tree has a child in a session of its own and one whose parent is gone.
 */
import { command, type Muster } from '@muster/sdk'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../harness/load.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { openHere } from './here.js'

const TIMES = 5
/** What the tree is given to leave, milliseconds; it stays. */
export const GRACE_MS = 1_000
/** Four processes that ignore TERM: one with a session of its own, one whose parent is gone. Prints `up`. */
export const TREE = `
trap '' TERM
stay='while :; do sleep 0.5; done'
sh -c "$stay" &
setsid sh -c "$stay" &
sh -c "setsid sh -c '$stay' &"
echo up
eval "$stay"
`

/** The sixth row of the table. */
export async function cancel({ scratch }: Context): Promise<readonly Measured[]> {
  const muster = await openHere(join(scratch, 'cancel'))
  const gone: number[] = []
  const recorded: number[] = []
  try {
    for (let time = 0; time < TIMES; time += 1) {
      const found = await cancelTree(muster)
      gone.push(found.goneMs - GRACE_MS)
      recorded.push(found.recordedMs - GRACE_MS)
    }
  } finally {
    await muster.close()
  }
  const name = (what: string): string =>
    `cancel of a tree that ignores TERM, ${what} after the grace, worst of ${TIMES}`
  return [
    absolute(Math.max(...gone), { name: name('nothing left'), unit: 'ms', sense: 'at most', bar: 1_000 }),
    printed(Math.max(...recorded), { name: name('recorded as cancelled'), unit: 'ms' }),
  ]
}

async function cancelTree(muster: Muster): Promise<{ readonly goneMs: number; readonly recordedMs: number }> {
  const mark = `tree-${randomUUID()}`
  const job = await muster.submit(command({ run: TREE, env: { MARK: mark } }), { grace: GRACE_MS, timeout: '2m' })
  for await (const { text } of job.logs()) if (text === 'up') break
  const before = alive(mark).length
  if (before < 4) throw new Error(`only ${before} processes of the tree were found`)
  const start = performance.now()
  const since = (): number => performance.now() - start
  await job.cancel('measured')
  const gone = nothingLeft(mark).then(since)
  const recorded = job.ended().then(since)
  const [goneMs, recordedMs] = await Promise.all([gone, recorded])
  const { state } = await job.wait()
  if (state !== 'cancelled') throw new Error(`job ${job.id} is ${state}`)
  return { goneMs, recordedMs }
}

async function nothingLeft(mark: string): Promise<void> {
  while (alive(mark).length > 0) await sleep(10)
}

/** The processes that carry `mark` in their environment. */
function alive(mark: string): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environment(name).includes(mark))
}

/** Empty where the process has ended (a zombie's is empty, too) or is not ours. */
function environment(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}
