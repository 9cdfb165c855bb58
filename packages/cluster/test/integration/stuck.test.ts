/**
 * P5: what survives KILL is not called gone. No test can make a process that truly resists KILL, so one verb of a real launcher is told to
 * answer as the machine would; everything else (record, machine, processes, GPUs by a fake nvidia-smi) is real.
 */
import { jobSpec, silentLogger, systemClock, systemIds } from '@muster/core'
import { openStore, type JobStore } from '@muster/job-manager'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Leader } from '../../dist/leader/leader.js'
import { MachineRegistry, type ReachedMachine } from '../../dist/registry.js'
import { LEASE, script, testWorker, World } from './world.js'

const GPUS = ['GPU-1', 'GPU-2']
const SURVIVOR = 4_000_001
const tools = { clock: systemClock, ids: systemIds, logger: silentLogger }
const PATH = process.env['PATH']
let world: World
let store: JobStore
let registry: ResistingRegistry
let leader: Leader

/** Machines on which a stop reports survivors while it is told so. */
class ResistingRegistry extends MachineRegistry {
  resists = false

  override reach(name: string): ReachedMachine {
    const reached = super.reach(name)
    const stop: ReachedMachine['launcher']['stop'] = async (...args) => {
      const outcome = await reached.launcher.stop(...args)
      return this.resists ? { left: 'stuck', pids: [SURVIVOR] } : outcome
    }
    return { ...reached, launcher: { ...reached.launcher, stop } }
  }
}

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
  store = await openStore(join(world.directory, 'jobs.db'), { ...tools, lease: LEASE })
  const stateDir = join(world.directory, 'machine')
  registry = new ResistingRegistry([{ name: 'local', transport: 'local', stateDir, cpus: 8 }], tools)
  leader = new Leader({
    store,
    registry,
    workers: new Map([['test', testWorker]]),
    filesDirectory: join(world.directory, 'files'),
    host: 'here',
    holder: 'test',
    caretaker: false,
    ...tools,
    tuning: { stuckRetryMs: 200 },
    announce: () => undefined,
  })
})
afterEach(async () => {
  process.env['PATH'] = PATH
  await leader.close()
  await registry.close()
  await store.close()
  await world.clear()
})

async function submit(text: string, gpus: number): Promise<string> {
  const { worker, input } = script(text)
  const spec = jobSpec({ worker, input }, { gpus, grace: 100 })
  return (await store.insert({ id: systemIds.next(), spec, owner: 'me', payload: input, actor: 'user:me' })).job.id
}

const state = async (id: string) => (await store.get(id))?.state
const quarantined = async () => Object.keys((await store.machines())[0]?.quarantined ?? {})

it('P5 what survives KILL is stuck: running still, its GPUs in quarantine until freed, cancelled when it is gone', async () => {
  await expect.poll(() => store.machines(), { timeout: 10_000 }).toHaveLength(1)
  const held = await submit('exec sleep 600', 1)
  await expect.poll(() => state(held), { timeout: 10_000 }).toBe('running')
  registry.resists = true
  await store.cancel(held, 'user:me', 'enough')
  const stuck = { pids: [SURVIVOR], gpus: ['GPU-1'] }
  await expect
    .poll(() => store.get(held), { timeout: 10_000 })
    .toMatchObject({ state: 'running', conditions: { stuck } })
  await expect.poll(quarantined, { timeout: 5_000 }).toEqual(['GPU-1'])

  const wants = await submit('echo "$CUDA_VISIBLE_DEVICES" >"$MUSTER_RESULT"', 2)
  expect(await state(wants)).toBe('queued')
  expect(await store.freeGpus('local', 'GPU-1', 'user:me')).toEqual(['GPU-1'])
  await expect
    .poll(() => store.get(wants), { timeout: 10_000 })
    .toMatchObject({ state: 'completed', result: { value: 'GPU-1,GPU-2\n' } })
  expect(await state(held)).toBe('running')

  registry.resists = false
  await expect.poll(() => store.get(held), { timeout: 10_000 }).toMatchObject({ state: 'cancelled', conditions: {} })
  expect((await store.history(held)).map(({ action }) => action)).toContain('stuck')
})
