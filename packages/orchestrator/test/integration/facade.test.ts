/** The facade on each backend: the same calls, the same ends, and consumers that go on by themselves when their server was away. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemIds } from '@muster/core'
import { defineQueue, openOrchestrator, type Orchestrator } from '@muster/orchestrator'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'

const run = promisify(execFile)
const servers: Readonly<Record<string, (() => Promise<QueueServer>) | undefined>> = {
  local: undefined,
  redis: () => startRedis({ config: ['appendonly yes'] }),
  rabbitmq: () => startRabbit(),
}
const PATIENCE_MS = 45_000
const eventually = (expectation: () => unknown): Promise<unknown> =>
  vi.waitFor(expectation, { timeout: PATIENCE_MS, interval: 25 })

describe.each(Object.entries(servers))('%s', (_, startServer) => {
  let server: QueueServer | undefined
  beforeAll(async () => {
    server = await startServer?.()
  })
  const opened: Orchestrator[] = []
  afterAll(async () => {
    await Promise.all(opened.map((q) => q.close({ drainMs: 0, graceMs: 0 })))
    await server?.remove()
  })

  /** Those who share a namespace share its queues, except on a backend that dies with its process. */
  async function start(namespace = `test-${systemIds.next()}`): Promise<Orchestrator> {
    const q = await openOrchestrator({ backend: server?.url ?? 'local', namespace })
    opened.push(q)
    return q
  }
  const many = (n: number): { body: number }[] => Array.from({ length: n }, (_, body) => ({ body }))
  const settled = (q: Orchestrator, dead = 0): Promise<unknown> =>
    eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject({ ready: 0, dead }))

  // Each has queues of its own, and most of them wait: all but the last go on side by side.
  test.concurrent(
    'a typed queue: what fits is handled once, what does not is a dead letter with the reason',
    async () => {
      const q = await start()
      const mail = defineQueue('q', { schema: z.object({ to: z.string(), copies: z.int().default(1) }) })
      await expect(q.publish(mail, { to: 1 } as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await q.publishMany(
        mail,
        Array.from({ length: 500 }, (_, n) => ({ body: { to: `user ${n}` } })),
      )
      await q.publish('q', { to: null })
      const seen: string[] = []
      q.consume(mail, ({ body }) => seen.push(`${body.to} ${body.copies}`), { concurrency: 50 })
      await settled(q, 1)
      await eventually(() => expect(seen).toHaveLength(500))
      expect(new Set(seen).size).toBe(500)
      expect((await q.deadLetters('q')).letters).toMatchObject([{ reason: 'rejected', body: { to: null } }])
    },
  )

  test.concurrent('retries with their pauses, then a dead letter; redriven it starts again', async () => {
    const q = await start()
    await q.declare('q', { maxTries: 2 })
    const tries: number[] = []
    let fails = true
    const handler = (delivery: { tries: number }): void => {
      tries.push(delivery.tries)
      if (fails) throw new Error('not today')
    }
    q.consume('q', handler, { retry: { firstMs: 30, jitter: 0 } })
    await q.publish('q', 'stubborn', { priority: 9 })
    await settled(q, 1)
    for await (const letter of q.eachDeadLetter('q'))
      expect(letter).toMatchObject({ body: 'stubborn', reason: 'max-tries', detail: 'not today', tries: 2 })
    fails = false
    expect(await q.redrive('q')).toBe(1)
    await settled(q)
    await eventually(() => expect(tries).toEqual([0, 1, 0]))
  })

  test.concurrent(
    'a lease is extended while its handler runs, and never more is held than there are slots',
    async () => {
      const q = await start()
      const crashes: number[] = []
      let [running, most] = [0, 0]
      await q.publishMany('q', many(6))
      q.consume(
        'q',
        async (delivery) => {
          most = Math.max(most, ++running)
          await sleep(1_500)
          running--
          crashes.push(delivery.crashes)
        },
        { concurrency: 2, leaseMs: 1_000 },
      )
      await eventually(() => expect(crashes).toHaveLength(6))
      await settled(q)
      expect({ crashes: new Set(crashes), most }).toEqual({ crashes: new Set([0]), most: 2 })
    },
  )

  test.concurrent('31 close drains: what is in flight ends, what was not started goes back uncounted', async () => {
    const namespace = `test-${systemIds.next()}`
    const q = await start(namespace)
    await q.publishMany('q', many(40))
    const done: number[] = []
    const handler = async ({ body }: { body: unknown }): Promise<void> => {
      await sleep(20)
      done.push(Number(body))
    }
    const consumer = q.consume('q', handler, { concurrency: 4 })
    await eventually(() => expect(done.length).toBeGreaterThan(3))
    await consumer.close()
    const first = done.length
    expect(first).toBeLessThan(40)
    const counts: number[] = []
    q.consume('q', ({ body, tries, crashes }) => {
      done.push(Number(body))
      counts.push(tries, crashes)
    })
    await eventually(() => expect(done).toHaveLength(40))
    await settled(q)
    expect(new Set(done).size).toBe(40)
    expect(new Set(counts)).toEqual(new Set([0]))
  })

  test.concurrent('for await: going on acknowledges, leaving gives back', async () => {
    const q = await start()
    await q.publishMany('q', many(3))
    const seen: unknown[] = []
    for await (const { body } of q.consume('q')) if (seen.push(body) === 2) break
    expect(seen).toEqual([0, 1])
    const rest: unknown[] = []
    for (let delivery; (delivery = await q.receiveMessage('q', { waitMs: 2_000 })); await delivery.ack())
      rest.push(delivery.body)
    expect(rest.sort()).toEqual([1, 2])
  })

  test.concurrent('22 pause holds back from a consumer that stands, resume goes on', async () => {
    const q = await start()
    const seen: unknown[] = []
    q.consume('q', ({ body }) => seen.push(body), { concurrency: 5 })
    await q.publish('q', 'before')
    await eventually(() => expect(seen).toEqual(['before']))
    await q.pause('q')
    await eventually(async () => expect((await q.stats('q')).paused).toBe(true))
    await sleep(1_000) // the contract's own bound: within it a pause may still take hold
    await q.publish('q', 'after')
    await sleep(500) // nothing else could show that nothing comes
    expect(seen).toEqual(['before'])
    await q.resume('q')
    await eventually(() => expect(seen).toEqual(['before', 'after']))
    expect((await q.stats('q')).totals).toMatchObject({ published: 2, delivered: 2 })
  })

  test.concurrent('the example runs', async () => {
    const file = fileURLToPath(new URL('../../../../examples/queue.ts', import.meta.url))
    const args = ['--import', 'tsx', file, ...(server ? [server.url] : [])]
    const { stdout, stderr } = await run(process.execPath, args, { timeout: 50_000 })
    const lines = ['', 'dead nobody no such address', "sent { to: 'ada' }", "sent { to: 'alan' }"]
    expect({ lines: stdout.split('\n').sort(), stderr }).toEqual({ lines, stderr: '' })
  })

  if (startServer === undefined) return

  test('29 the server restarts under a consumer, which goes on by itself', async () => {
    const q = await start()
    const seen = new Set<number>()
    const consumer = q.consume('q', ({ body }) => seen.add(Number(body)), { concurrency: 20 })
    await q.publishMany('q', many(100))
    await eventually(() => expect(seen.size).toBeGreaterThan(0))
    await server?.stop()
    await server?.start()
    const later = many(200).map(({ body }) => ({ body: body + 100 }))
    await eventually(() => q.publishMany('q', later))
    await eventually(() => expect(seen.size).toBe(300))
    await settled(q)
    await consumer.close()
  })
})
