/** What a handle does when the machine cannot be reached, and when collected files are not where they should be. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  JobHandle,
  localEnvironment,
  localTransport,
  shellLauncher,
  type HandleDeps,
  type Launcher,
} from '@muster/cluster'
import { MusterError, systemClock } from '@muster/core'
import { command, type Muster } from '@muster/sdk'
import { Place } from './place.js'

let place: Place
let muster: Muster

beforeEach(async () => {
  place = await Place.make()
  muster = await place.open()
})
afterEach(() => place.close())

/** The surroundings of a handle on another host, or with another way to the machine. */
function deps(changes: Partial<HandleDeps>): HandleDeps {
  return {
    store: muster.jobs.store,
    clock: systemClock,
    filesDirectory: join(place.root, 'files'),
    host: 'elsewhere',
    launcher: () => Promise.reject(new MusterError('UNKNOWN_MACHINE', 'not configured here')),
    care: () => () => undefined,
    cancel: (id) => muster.cluster.cancelJob(id),
    restart: (id) => muster.jobs.restartJob(id),
    ...changes,
  }
}

test('6 a connection that breaks pauses the log and leaves no hole in it', async () => {
  const transport = localTransport()
  const launcher = shellLauncher(transport, { stateDir: join(place.root, 'machine'), environment: localEnvironment() })
  let asked = 0
  // Two of three questions meet a broken connection, the first ones among them.
  const flaky: Launcher = {
    ...launcher,
    logs: async (...question) => {
      if (asked++ % 3 < 2) throw new MusterError('TRANSPORT_LOST', 'cut')
      return launcher.logs(...question)
    },
  }
  try {
    const { id } = await muster.submit(
      command({ run: 'i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.1; done' }),
    )
    const follower = new JobHandle(deps({ launcher: () => Promise.resolve(flaky) }), id, false)
    const seen: string[] = []
    for await (const { text } of follower.logs()) seen.push(text)
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => String(i)))
    expect(asked).toBeGreaterThan(2)
  } finally {
    await launcher.close()
    await transport.close()
  }
})

test('files that another host holds are FILE_ELSEWHERE, unless they are shared', async () => {
  const { id } = await muster.submit(command({ run: 'echo said; echo kept >"$MUSTER_ARTIFACTS/a"' }))
  await (await muster.job(id)).wait()
  const shared = new JobHandle(deps({}), id, false)
  for await (const { text } of shared.logs()) expect(text).toBe('said')
  expect(await shared.artifacts()).toMatchObject([{ path: 'a', bytes: 5 }])

  const apart = new JobHandle(deps({ filesDirectory: join(place.root, 'nothing-here') }), id, false)
  await expect(apart.logs().next()).rejects.toMatchObject({
    code: 'FILE_ELSEWHERE',
    details: { host: expect.any(String) as string },
  })
  await expect(apart.artifacts()).rejects.toMatchObject({ code: 'FILE_ELSEWHERE' })
})

test('files that were removed by hand are FILE_MISSING, and the rest of the job is still known', async () => {
  const job = await muster.submit(command({ run: 'echo said' }))
  await job.wait()
  await rm(join(place.root, 'files'), { recursive: true })
  await expect(job.logs().next()).rejects.toMatchObject({ code: 'FILE_MISSING' })
  expect(await job.result()).toMatchObject({ state: 'completed', output: null })
})
