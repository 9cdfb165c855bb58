/**
 * Cancel of a tree on a machine over SSH that ignores TERM: from the call to nothing left of it, by the machine's /proc and not by
 * our own word, less the grace that the job was given. The tree is that of ../launch/cancel.ts.
 */
import { command, type Muster } from '@muster/sdk'
import type { SshTransport } from '@muster/cluster'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { GRACE_MS, TREE } from '../launch/cancel.js'
import { openThere, reach, there, withMachine } from './there.js'

const TIMES = 5

/** The sixth row of the table, second half. */
export function cancel(context: Context): Promise<readonly Measured[]> {
  return withMachine(async (machine) => {
    const way = reach(machine)
    const muster = await openThere(join(context.scratch, 'cancel'), machine)
    const gone: number[] = []
    const recorded: number[] = []
    try {
      for (let time = 0; time < TIMES; time += 1) {
        const found = await cancelTree(muster, way)
        gone.push(found.goneMs - GRACE_MS)
        recorded.push(found.recordedMs - GRACE_MS)
      }
    } finally {
      await muster.close()
      await way.close()
    }
    const name = (what: string): string =>
      `cancel over SSH of a tree that ignores TERM, ${what} after the grace, worst of ${TIMES}`
    return [
      absolute(Math.max(...gone), { name: name('nothing left'), unit: 'ms', sense: 'at most', bar: 1_000 }),
      printed(Math.max(...recorded), { name: name('recorded as cancelled'), unit: 'ms' }),
    ]
  })
}

async function cancelTree(
  muster: Muster,
  way: SshTransport,
): Promise<{ readonly goneMs: number; readonly recordedMs: number }> {
  const mark = `tree-${randomUUID()}`
  const job = await muster.submit(command({ run: TREE, env: { MARK: mark } }), { grace: GRACE_MS, timeout: '2m' })
  for await (const { text } of job.logs()) if (text === 'up') break
  // Only environments are read, so the looking shell, whose script names the mark, does not see itself.
  const before = (await there(way, `grep -lsF MARK=${mark} /proc/[0-9]*/environ | wc -l`)).trim()
  if (Number(before) < 4) throw new Error(`only ${before} processes of the tree were found`)
  const start = performance.now()
  const since = (): number => performance.now() - start
  await job.cancel('measured')
  const gone = there(way, `while grep -qsF MARK=${mark} /proc/[0-9]*/environ; do sleep 0.01; done`).then(since)
  const recorded = job.ended().then(since)
  const [goneMs, recordedMs] = await Promise.all([gone, recorded])
  const { state } = await job.wait()
  if (state !== 'cancelled') throw new Error(`job ${job.id} is ${state}`)
  return { goneMs, recordedMs }
}
