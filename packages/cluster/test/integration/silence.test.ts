/** P2: silence is no evidence. What the machine says, or the job itself declared, ends an attempt; nothing else does. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Leading } from './leading.js'
import { World } from './world.js'

const PATIENT = { timeout: 20_000 }
let world: World
let leading: Leading

beforeEach(async () => {
  world = await World.make('silence')
  leading = await Leading.over(world)
})
afterEach(async () => {
  await leading.close()
  await world.clear()
})

const record = (id: string) => leading.store.get(id)
const actions = async (id: string) => (await leading.store.history(id)).map(({ action }) => action)

async function running(id: string): Promise<void> {
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'running' })
}

it('P2 while its machine is silent a job stays as it is, and says since when; the same attempt goes on', async () => {
  const id = await leading.submit(`while [ ! -e ${world.directory}/go ]; do sleep 0.05; done`)
  await running(id)
  leading.registry.silent = true
  await expect.poll(async () => (await record(id))?.conditions.unconfirmedSince, PATIENT).toBeGreaterThan(0)
  await expect.poll(() => leading.store.machines(), PATIENT).toMatchObject([{ state: 'unreachable' }])
  const waiting = await leading.submit('true')
  expect(await record(id)).toMatchObject({ state: 'running', attempt: 1 })
  leading.registry.silent = false
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'running', attempt: 1, conditions: {} })
  await expect.poll(() => record(waiting), PATIENT).toMatchObject({ state: 'completed' })
  await leading.store.cancel(id, 'user:me', 'seen enough')
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'cancelled', attempt: 1 })
  expect(await actions(id)).toEqual(expect.arrayContaining(['unconfirmed', 'confirmed']))
})

it('P2 P3 replaced after the silence that the job declared harmless; the old attempt is killed at the next contact', async () => {
  const text = `if [ "$MUSTER_ATTEMPT" = 1 ]; then echo $$ >${world.directory}/pid; exec sleep 600; fi`
  const id = await leading.submit(text, { onLost: { replaceAfter: '200ms' } })
  await running(id)
  await expect.poll(() => existsSync(join(world.directory, 'pid')), PATIENT).toBe(true)
  leading.registry.silent = true
  await expect
    .poll(async () => (await leading.store.attempts(id))[0], PATIENT)
    .toMatchObject({ outcome: 'machine-lost', notConfirmedGone: true })
  const pid = (await readFile(join(world.directory, 'pid'), 'utf8')).trim()
  expect(existsSync(`/proc/${pid}`)).toBe(true)
  leading.registry.silent = false
  await expect.poll(() => existsSync(`/proc/${pid}`), PATIENT).toBe(false)
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'completed', attempt: 2, failures: 0 })
  expect((await leading.store.attempts(id))[0]).toMatchObject({ notConfirmedGone: false })
})

it('P2 a supervisor that was killed is a lost machine, never a failure; what it left running is killed first', async () => {
  const id = await leading.submit(`echo $$ >${world.directory}/pid; exec sleep 600`)
  await running(id)
  await expect.poll(() => existsSync(join(world.directory, 'pid')), PATIENT).toBe(true)
  const claim = await readFile(join(world.directory, 'machine', 'attempts', `${id}.1`, 'claim'), 'utf8')
  process.kill(Number(claim.split(' ')[0]), 'SIGKILL')
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'pending', reason: 'machine-lost', failures: 0 })
  const pid = (await readFile(join(world.directory, 'pid'), 'utf8')).trim()
  expect(existsSync(`/proc/${pid}`)).toBe(false)
  await leading.store.cancel(id, 'user:me', 'seen enough')
})
