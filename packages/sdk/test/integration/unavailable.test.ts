/** A commit that cannot be had where the leader runs: the job waits and says why, and runs when it can be had again. */
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { git } from '@muster/sdk'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place } from './place.js'
import { commit } from './repository.js'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(() => place.close())

test('P8 a job whose commit is gone from here waits with that reason, blocks nobody, and runs when it is back', async () => {
  const repo = join(place.root, 'repo')
  await commit(repo, { word: 'hello\n' })
  const before = await place.open({ schedule: false })
  const { id } = await before.submit(git({ repo, run: ['cat', 'word'] }))
  await before.close()
  await rm(join(place.root, 'mirrors'), { recursive: true })
  await rename(repo, `${repo}.away`)

  const muster = await place.open()
  await expect
    .poll(async () => (await muster.cluster.explain(id)).sentence, { timeout: 10_000 })
    .toMatch(/will try again: commit [0-9a-f]{40} is not in the mirror/)
  const other = join(place.root, 'other')
  await commit(other, { word: 'other\n' })
  const neighbour = await muster.submit(git({ repo: other, run: ['cat', 'word'] }))
  expect((await neighbour.wait()).state).toBe('completed')

  await rename(`${repo}.away`, repo)
  const job = await muster.job(id)
  expect(await job.wait()).toMatchObject({ state: 'completed', failures: 0 })
}, 60_000)
