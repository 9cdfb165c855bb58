/** A paused queue of jobs: its jobs stay where they are and say why, those of other queues go on, whoever paused it and whoever leads. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Leading } from './leading.js'
import { World } from './world.js'

const PATIENT = { timeout: 20_000 }
let world: World
let leading: Leading

beforeEach(async () => {
  world = await World.make('paused')
  leading = await Leading.over(world)
})
afterEach(async () => {
  await leading.close()
  await world.clear()
})

const record = (id: string) => leading.store.get(id)

/** Pauses or resumes the queue as another program would, in a process of its own. */
async function setPaused(paused: boolean): Promise<void> {
  const program = `import { openStore } from '@muster/job-manager'
    const store = await openStore(process.argv[1])
    await store.setQueuePaused('night', ${paused}, 'user:ada')
    await store.close()`
  const argv = ['--input-type=module', '-e', program, join(world.directory, 'jobs.db')]
  await promisify(execFile)(process.execPath, argv, { cwd: import.meta.dirname })
}

/** When the first attempt of a job was placed, by the clock of the record. */
async function placedAt(id: string): Promise<number> {
  return (await leading.store.attempts(id))[0]?.placedAt ?? Infinity
}

it('paused in another process: what runs there goes on, what waits stays and says why, another queue is not held up; resumed, it goes on', async () => {
  const go = join(world.directory, 'go')
  const runs = await leading.submit(`while [ ! -e ${go} ]; do sleep 0.05; done`, { queue: 'night' })
  await expect.poll(() => record(runs), PATIENT).toMatchObject({ state: 'running' })
  await setPaused(true)
  const waiting = await Promise.all(
    Array.from({ length: 300 }, () => leading.submit('true', { queue: 'night', priority: 9 })),
  )
  const other = await leading.submit('true')
  await expect.poll(() => record(other), PATIENT).toMatchObject({ state: 'completed' })
  await writeFile(go, '')
  await expect.poll(() => record(runs), PATIENT).toMatchObject({ state: 'completed' })

  const [one = ''] = waiting
  const explanation = await world.here('off', (cluster) => cluster.explain(one))
  expect(explanation.sentence).toMatch(/^waits: the queue night is paused by user:ada since \d\d:\d\d/)
  await leading.close()
  leading = await Leading.over(world)
  const after = await leading.submit('true')
  await expect.poll(() => record(after), PATIENT).toMatchObject({ state: 'completed' })
  const { jobs } = await leading.store.list({ queue: 'night', state: 'queued' }, { limit: 1_000 })
  expect(jobs.filter(({ attempt }) => attempt === 0)).toHaveLength(300)

  await setPaused(false)
  const resumedAt = (await leading.store.queueHistory('night')).at(-1)?.at ?? 0
  await expect.poll(() => placedAt(one), PATIENT).toBeLessThan(Infinity)
  const first = Math.min(...(await Promise.all(waiting.slice(0, 8).map(placedAt))))
  expect(first - resumedAt).toBeLessThan(1_000)
  for (const id of waiting) await leading.store.cancel(id, 'user:ada', 'enough')
  await expect.poll(async () => (await leading.store.live()).length, PATIENT).toBe(0)
})
