/** Two processes on one record: who leads, who takes over, and who only takes care. */
import { afterEach, expect, it } from 'vitest'
import { script, World, type Lease } from './world.js'

/** Longer than anything here takes, whatever else the machine does. What is proven is who leads and what ran, not how soon. */
const PATIENT = { timeout: 40_000 }
const soon = (): AbortSignal => AbortSignal.timeout(PATIENT.timeout)

/** Nobody takes over because a lease ran out, however late a busy machine lets its holder beat. */
const LASTING: Lease = { leaseMs: 300_000, beatMs: 250 }
/** Runs out within the test, and not when its holder was late by a second. */
const SHORT: Lease = { leaseMs: 3_000, beatMs: 250 }

let world: World

afterEach(() => world.clear())
const led = async (lease: Lease): Promise<void> => {
  world = await World.make('notebooks', undefined, lease)
}

/** A leader in another process, once it leads. */
async function otherLeads(): Promise<ReturnType<World['controller']>> {
  const other = world.controller()
  expect(await other.line()).toBe('leading')
  await world.here('off', async (_, store) => {
    await expect.poll(() => store.leader(), PATIENT).toMatchObject({ caretaker: false })
  })
  return other
}

it('the submit of the second is run by the first', async () => {
  await led(LASTING)
  await otherLeads()
  await world.here('lead', async (cluster, store) => {
    const first = await store.leader()
    const job = await cluster.submit(script('echo done'))
    await job.result({ signal: soon() })
    expect(await store.leader()).toEqual(first)
    expect((await store.history(job.id)).find(({ action }) => action === 'place')?.actor).toContain(first?.holder)
  })
})

it('when the first closes, the second takes over at once', async () => {
  await led(LASTING)
  const other = await otherLeads()
  await world.here('lead', async (cluster, store) => {
    const first = await store.leader()
    other.child.stdin?.end()
    expect(await other.ended).toBeNull()
    const job = await cluster.submit(script('echo done'))
    await job.result({ signal: soon() })
    expect((await store.leader())?.epoch).toBeGreaterThan(first?.epoch ?? 0)
  })
})

it('P3 when the first is frozen, the second takes over after the lease; thawed, the first finds out and writes nothing', async () => {
  await led(SHORT)
  const other = await otherLeads()
  await world.here('lead', async (cluster, store) => {
    const first = await store.leader()
    other.child.kill('SIGSTOP')
    const job = await cluster.submit(script('echo done'))
    await job.result({ signal: soon() })
    const second = await store.leader()
    expect(second?.epoch).toBeGreaterThan(first?.epoch ?? 0)
    other.child.kill('SIGCONT')
    const next = await cluster.submit(script('echo again'))
    await next.result({ signal: soon() })
    expect(await store.leader()).toEqual(second)
    expect(await job.status()).toMatchObject({ state: 'completed', attempt: 1 })
  })
})

it('a caretaker carries out a cancel while nobody leads, and places nothing', async () => {
  await led(SHORT)
  const other = await otherLeads()
  const id = await world.here('off', async (cluster, store) => {
    const running = await cluster.submit(script('exec sleep 600'))
    await expect.poll(async () => (await running.status()).state, PATIENT).toBe('running')
    other.child.kill('SIGKILL')
    await other.ended
    expect(await store.live()).toHaveLength(1)
    return running.id
  })
  await world.here('care', async (cluster, store) => {
    const waiting = await cluster.submit(script('echo never'))
    const job = await cluster.job(id)
    await job.cancel('enough')
    expect(await job.ended({ signal: soon() })).toMatchObject({
      state: 'cancelled',
      reason: 'cancelled',
    })
    expect(await waiting.status()).toMatchObject({ state: 'queued', attempt: 0 })
    expect(await store.wishes()).toEqual([])
    await waiting.cancel()
  })
})

it('a caretaker yields to one who wants to lead', async () => {
  await led(LASTING)
  await world.here('off', async (cluster) => {
    await cluster.submit(script('echo patience'), { key: 'k' })
  })
  await world.here('care', async (cluster, store) => {
    const job = await cluster.submit(script('echo patience'), { key: 'k' })
    expect(job.created).toBe(false)
    const waited = job.wait({ signal: soon() })
    await expect.poll(() => store.leader(), PATIENT).toMatchObject({ caretaker: true })
    world.controller()
    expect(await waited).toMatchObject({ state: 'completed' })
  })
})
