/** A machine taken out of use, and one that does not answer: what the leader does about it, and what the record says meanwhile. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Leading } from './leading.js'
import { World } from './world.js'

const PATIENT = { timeout: 20_000 }
let world: World
let leading: Leading

beforeEach(async () => {
  world = await World.make('drain')
  leading = await Leading.over(world)
})
afterEach(async () => {
  await leading.close()
  await world.clear()
})

const record = (id: string) => leading.store.get(id)
const machine = async () => (await leading.store.machines())[0]

it('drain: what runs goes on, what waits stays, its end makes the machine drained; a takeover changes nothing; resume places', async () => {
  const { store } = leading
  const go = join(world.directory, 'go')
  const runs = await leading.submit(`while [ ! -e ${go} ]; do sleep 0.05; done`)
  await expect.poll(() => record(runs), PATIENT).toMatchObject({ state: 'running' })
  await store.drain('local', 'user:ada', 'new disk')
  const waits = await leading.submit('true')
  expect(await machine()).toMatchObject({ state: 'draining' })
  const left: string[][] = []
  const drained = world.here('off', (cluster) =>
    cluster.drained('local', { progress: (_, live) => left.push(live.map(({ job }) => job.id)) }),
  )
  await expect.poll(() => left, PATIENT).toEqual([[runs]])
  await writeFile(go, '')
  expect(await drained).toMatchObject({ state: 'drained', drain: { reason: 'new disk' } })
  expect(await record(runs)).toMatchObject({ state: 'completed' })

  await leading.close()
  leading = await Leading.over(world)
  await expect.poll(async () => (await leading.store.leader())?.epoch, PATIENT).toBeGreaterThan(1)
  await expect.poll(async () => (await machine())?.updatedAt, PATIENT).toBeGreaterThan(0)
  const explanation = await world.here('off', (cluster) => cluster.explain(waits))
  expect(explanation.sentence).toMatch(/^waits: local is drained by user:ada since \d\d:\d\d \(new disk\)$/)
  expect(await record(waits)).toMatchObject({ state: 'queued', attempt: 0 })
  await leading.store.resume('local')
  await expect.poll(() => record(waits), PATIENT).toMatchObject({ state: 'completed' })
})

it('a machine that nobody configured cannot be drained, resumed or freed', async () => {
  await world.here('off', async (cluster) => {
    for (const refused of [cluster.drain('nope'), cluster.resume('nope'), cluster.free('nope')])
      await expect(refused).rejects.toMatchObject({ code: 'UNKNOWN_MACHINE' })
    expect(await cluster.drain('local')).toBe(true)
    expect(await cluster.drain('local')).toBe(false)
    expect(await cluster.resume('local')).toBe(true)
    expect(await cluster.resume('local')).toBe(false)
  })
})

it('silence: suspect after the first look that failed, then unreachable, with code, hint and since when; ready again afterwards', async () => {
  const { store, registry } = leading
  await expect.poll(machine, PATIENT).toMatchObject({ state: 'ready', trouble: null })
  const states: (string | undefined)[] = []
  const note = (): void => {
    void machine().then((seen) => {
      if (seen?.state !== states.at(-1)) states.push(seen?.state)
    })
  }
  const forget = store.onChange(note)
  const id = await leading.submit(`while [ ! -e ${world.directory}/go ]; do sleep 0.05; done`)
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'running' })
  const before = Date.now()
  registry.silent = true
  await expect.poll(machine, PATIENT).toMatchObject({ state: 'unreachable' })
  const { trouble, reason, probe } = (await machine()) ?? {}
  expect(trouble).toMatchObject({ code: 'TRANSPORT_LOST', message: 'the machine is silent' })
  expect(trouble?.hint).not.toBe('')
  expect(trouble?.since).toBeGreaterThanOrEqual(before)
  expect(reason).toMatch(/^does not answer since \d\d:\d\d: the machine is silent \[TRANSPORT_LOST\]$/)
  expect(probe).toHaveProperty('bootId')
  await expect.poll(async () => (await record(id))?.conditions.unconfirmedSince, PATIENT).toBeGreaterThan(0)
  const { sentence } = await world.here('off', (cluster) => cluster.explain(id))
  expect(sentence).toMatch(/unconfirmed since \d\d:\d\d: local does not answer since \d\d:\d\d: the machine is silent/)
  registry.silent = false
  await expect.poll(machine, PATIENT).toMatchObject({ state: 'ready', reason: null, trouble: null })
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'running', attempt: 1, conditions: {} })
  await store.cancel(id, 'user:me', 'seen enough')
  await expect.poll(() => record(id), PATIENT).toMatchObject({ state: 'cancelled' })
  forget()
  expect(states.filter((state) => state !== 'ready').slice(0, 2)).toEqual(['suspect', 'unreachable'])
  expect(existsSync(join(world.directory, 'go'))).toBe(false)
})

it('a machine with nothing to do is missed, too', async () => {
  await expect.poll(machine, PATIENT).toMatchObject({ state: 'ready' })
  leading.registry.silent = true
  await expect.poll(machine, PATIENT).toMatchObject({ state: 'unreachable' })
  const waits = await leading.submit('true')
  leading.registry.silent = false
  await expect.poll(() => record(waits), PATIENT).toMatchObject({ state: 'completed' })
})
