/**
 * P5: what survives KILL is not called gone. On the machine at hand no test can make a process that resists KILL (stuck-ssh.test.ts
 * can), so one verb of a real launcher is told to answer as the machine would; all else (record, GPUs by a fake nvidia-smi) is real.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Leading } from './leading.js'
import { World } from './world.js'

const GPUS = ['GPU-1', 'GPU-2']
const SURVIVOR = 4_000_001
const PATH = process.env['PATH']
let world: World
let leading: Leading

async function fakeGpus(directory: string): Promise<void> {
  const text = `#!/bin/sh
case "$*" in *query-compute-apps*) exit 0 ;; esac
${GPUS.map((uuid) => `echo '${uuid}, Fake, 1000, 0'`).join('\n')}
`
  await mkdir(join(directory, 'bin'))
  await writeFile(join(directory, 'bin', 'nvidia-smi'), text)
  await chmod(join(directory, 'bin', 'nvidia-smi'), 0o755)
  process.env['PATH'] = `${join(directory, 'bin')}:${PATH ?? ''}`
}

beforeEach(async () => {
  world = await World.make('stuck')
  await fakeGpus(world.directory)
  leading = await Leading.over(world)
})
afterEach(async () => {
  process.env['PATH'] = PATH
  await leading.close()
  await world.clear()
})

const state = async (id: string) => (await leading.store.get(id))?.state
const quarantined = async () => Object.keys((await leading.store.machines())[0]?.quarantined ?? {})

it('P5 what survives KILL is stuck: running still, its GPUs in quarantine until freed, cancelled when it is gone', async () => {
  const { store, registry } = leading
  await expect.poll(() => store.machines(), { timeout: 10_000 }).toHaveLength(1)
  const held = await leading.submit('exec sleep 600', { gpus: 1 })
  await expect.poll(() => state(held), { timeout: 10_000 }).toBe('running')
  registry.survivors = [SURVIVOR]
  await store.cancel(held, 'user:me', 'enough')
  const stuck = { pids: [SURVIVOR], gpus: ['GPU-1'] }
  await expect
    .poll(() => store.get(held), { timeout: 10_000 })
    .toMatchObject({ state: 'running', conditions: { stuck } })
  await expect.poll(quarantined, { timeout: 5_000 }).toEqual(['GPU-1'])

  const wants = await leading.submit('echo "$CUDA_VISIBLE_DEVICES" >"$MUSTER_RESULT"', { gpus: 2 })
  expect(await state(wants)).toBe('queued')
  expect(await store.freeGpus('local', 'GPU-1', 'user:me')).toEqual(['GPU-1'])
  await expect
    .poll(() => store.get(wants), { timeout: 10_000 })
    .toMatchObject({ state: 'completed', result: { value: 'GPU-1,GPU-2\n' } })
  expect(await state(held)).toBe('running')

  registry.survivors = []
  await expect.poll(() => store.get(held), { timeout: 10_000 }).toMatchObject({ state: 'cancelled', conditions: {} })
  expect((await store.history(held)).map(({ action }) => action)).toContain('stuck')
})
