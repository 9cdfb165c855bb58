/** What a job keeps on a machine stays for its next attempt, and goes a week after its end. */
import { systemClock } from '@muster/core'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { script, World } from './world.js'

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
  await world.here('lead', () => expect.poll(kept, { timeout: 10_000 }).toEqual([STRANGE]), later)
})
