/** What a job keeps on a machine stays for its next attempt, and goes a week after its end. */
import type { Cluster } from '@muster/cluster'
import { systemClock, type Worker } from '@muster/core'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { script, testWorker, World } from './world.js'

const STRANGE = '01890000-0000-7000-8000-000000000000'
let world: World

beforeEach(async () => {
  world = await World.make('keep')
})
afterEach(() => world.clear())

const kept = (): Promise<string[]> => readdir(join(world.directory, 'machine', 'keep'))

it('keeps MUSTER_KEEP across attempts, for a week after the end, and never touches what the record does not know', async () => {
  const id = await world.here('lead', async (cluster) => {
    const job = await cluster.submit(script('cat "$MUSTER_KEEP/was" 2>/dev/null; echo kept >"$MUSTER_KEEP/was"'))
    await job.result()
    await job.restart()
    await job.result()
    const lines: string[] = []
    for await (const { text } of job.logs()) lines.push(text)
    expect(lines).toEqual(['kept'])
    return job.id
  })
  await mkdir(join(world.directory, 'machine', 'keep', STRANGE))
  expect((await kept()).sort()).toEqual([STRANGE, id].sort())
  const later = { ...systemClock, now: () => systemClock.now() + 8 * 86_400_000 }
  await world.here('lead', () => expect.poll(kept, { timeout: 10_000 }).toEqual([STRANGE]), { clock: later })
})

it('has workers tidy up, here and on each machine, with the jobs that still count on them; one that fails stops no other', async () => {
  const release = join(world.directory, 'release')
  const calls: [string | null, string[]][] = []
  const broken: Worker = { ...testWorker, tidy: () => Promise.reject(new Error('broken')) }
  const tidying: Worker = {
    ...testWorker,
    tidy: async (machine, needed) => {
      const names: string[] = []
      for await (const payload of needed) names.push((payload as { name: string }).name)
      calls.push([machine?.name ?? null, names.sort()])
    },
  }
  const job = (name: string, text: string) => ({ worker: 'tidying', input: { name, argv: ['sh', '-c', text] } })
  const registered = (cluster: Cluster): void => {
    cluster.registerWorker('broken', broken)
    cluster.registerWorker('tidying', tidying)
  }
  const ids = await world.here('lead', async (cluster) => {
    registered(cluster)
    await (await cluster.submit(job('ended', ':'))).result()
    const waits = `until [ -e '${release}' ]; do sleep 0.05; done`
    const runs = await cluster.submit(job('runs', waits), { cpus: 8 })
    const queued = await cluster.submit(job('queued', ':'), { cpus: 8 })
    await expect.poll(async () => (await runs.status()).state, { timeout: 10_000 }).toBe('running')
    return [runs.id, queued.id]
  })
  calls.length = 0
  await world.here('lead', async (cluster) => {
    registered(cluster)
    await expect.poll(() => calls.length, { timeout: 10_000 }).toBe(2)
    expect(calls).toEqual(
      expect.arrayContaining([
        [null, ['queued', 'runs']],
        ['local', ['runs']],
      ]) as unknown,
    )
    await writeFile(release, '')
    for (const id of ids) await (await cluster.job(id)).result()
  })
})
