/**
 * A muster on a server of queues: what it says when the server cannot be reached, what goes on without it, and a queue that is paused in the
 * record and on the server at once.
 */
import { createServer, type Server } from 'node:net'
import { command, type MusterError } from '@muster/sdk'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Place } from './place.js'

const PATIENT = { timeout: 20_000 }
let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(() => place.close())

/** Takes connections and never says a word. */
let silent: Server
beforeAll(async () => {
  silent = createServer(() => undefined)
  await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening))
})
afterAll(() => {
  silent.close()
})
const silentPort = (): number => (silent.address() as { port: number }).port

describe.each(['redis', 'amqp'])('%s: a server that cannot be reached', (scheme) => {
  test.each([
    ['nobody listens', () => 1],
    ['nobody answers', silentPort],
  ])('%s: whoever schedules learns it within seconds, and nothing stays open', async (_, port) => {
    const began = performance.now()
    const refused = place.open({ backend: `${scheme}://127.0.0.1:${port()}` })
    await expect(refused).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', retryable: true })
    const { message, hint } = (await refused.catch((error: unknown) => error)) as MusterError
    expect(message).toContain(`127.0.0.1:${port()}`)
    expect(hint).not.toBe('')
    expect(performance.now() - began).toBeLessThan(15_000)
    // The record was closed again: whoever opens it now leads at once.
    const muster = await place.open({ backend: 'local' })
    expect((await (await muster.submit(command({ run: 'true' }))).wait()).state).toBe('completed')
  })

  test('whoever only records submits, reads, cancels and closes all the same; one warning says that nobody is woken', async () => {
    const warnings: string[] = []
    const muster = await place.open({
      backend: `${scheme}://127.0.0.1:1`,
      schedule: false,
      onWarning: ({ code }) => warnings.push(code),
    })
    expect(muster.orchestrator.capabilities).toMatchObject({ shared: true })
    const job = await muster.submit(command({ run: 'true' }))
    const other = await muster.submit(command({ run: 'true' }))
    expect((await muster.jobs.listJobs()).jobs).toHaveLength(2)
    expect((await muster.cluster.cancelJob(other.id)).state).toBe('cancelled')
    expect((await muster.cluster.explain(job.id)).sentence).toMatch(/^waits: nobody schedules/)
    await expect.poll(() => warnings.toSorted(), PATIENT).toEqual(['BACKEND_UNAVAILABLE', 'NOBODY_SCHEDULES'])
    await expect(muster.orchestrator.publish('mine', 1)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    const unsure = muster.pauseQueue('jobs.command')
    await expect(unsure).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: /is paused in the record/ })
    expect([...(await muster.jobs.pausedQueues()).keys()]).toEqual(['jobs.command'])
    const closing = performance.now()
    await muster.close()
    expect(performance.now() - closing).toBeLessThan(5_000)
  })
})

describe.each(['redis', 'rabbitmq'] as const)('%s: a paused queue', (name) => {
  let server: QueueServer
  beforeAll(async () => {
    server = name === 'redis' ? await startRedis() : await startRabbit()
  })
  afterAll(() => server.remove())

  test('holds its jobs in the record and its messages on the server, for every process; resumed, both go on', async () => {
    const muster = await place.open({ backend: server.url })
    const operator = await place.open({ backend: server.url, schedule: false })
    const heard: unknown[] = []
    muster.orchestrator.consume('work', ({ body }) => heard.push(body), { keepAlive: false })
    await muster.orchestrator.publish('work', 1)
    await expect.poll(() => heard, PATIENT).toEqual([1])

    expect(await operator.pauseQueue('work')).toEqual({ changed: true, hasMessages: true })
    expect(await operator.pauseQueue('work')).toEqual({ changed: false, hasMessages: true })
    expect(await operator.pauseQueue('jobs.other')).toEqual({ changed: true, hasMessages: false })
    await muster.orchestrator.publish('work', 2)
    const held = await muster.submit(command({ run: 'true' }), { queue: 'work' })
    const free = await muster.submit(command({ run: 'true' }))
    expect((await free.wait()).state).toBe('completed')
    expect(await held.status()).toMatchObject({ state: 'queued', attempt: 0 })
    expect((await muster.cluster.explain(held.id)).sentence).toMatch(/^waits: the queue work is paused by user:/)
    expect(await operator.orchestrator.countQueueMessages('work')).toMatchObject({ ready: 1, paused: true })
    expect(heard).toEqual([1])

    expect(await operator.resumeQueue('work')).toEqual({ changed: true, hasMessages: true })
    await expect.poll(() => heard, PATIENT).toEqual([1, 2])
    expect((await held.wait()).state).toBe('completed')
  })
})
