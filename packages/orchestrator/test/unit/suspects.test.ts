/** Messages whose holder vanished twice: handled one at a time, in all consumers of an orchestrator, and never beside another. */
import { expect, test } from 'vitest'
import { empty, eventually, gate, start, type Bench } from './kit.js'

/** Publishes, and lets the holders of each vanish `times` times. */
async function suspects(
  { q, backend }: Bench,
  queue: string,
  bodies: readonly unknown[],
  times: number,
): Promise<void> {
  await q.publishMany(
    queue,
    bodies.map((body) => ({ body: body as string })),
  )
  for (let n = 1; n <= times; n++) {
    await backend.receive({ queue, max: bodies.length, waitMs: 0, leaseMs: 1 })
    await eventually(async () => expect(await backend.counts(queue)).toMatchObject({ leased: 0 }))
  }
}

test('of several suspects one is handled at a time, others go back uncounted and have their turn', async () => {
  const bench = await start()
  const { q } = bench
  await suspects(bench, 'q', ['a', 'b', 'c'], 2)
  await suspects(bench, 'other', ['d', 'e'], 2)
  let [running, most] = [0, 0]
  const seen: unknown[] = []
  const handler = async ({ body, crashes }: { body: unknown; crashes: number }): Promise<void> => {
    most = Math.max(most, ++running)
    seen.push([body, crashes])
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    running--
  }
  q.consume('q', handler, { concurrency: 10 })
  q.consume('other', handler, { concurrency: 10 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  await eventually(async () => expect(await q.countQueueMessages('other')).toMatchObject(empty))
  expect(most).toBe(1)
  expect(seen.sort()).toEqual(['a', 'b', 'c', 'd', 'e'].map((body) => [body, 2]))
})

test('when a suspect begins, nothing else that came with it is held', async () => {
  const bench = await start()
  const { q, backend } = bench
  await suspects(bench, 'q', ['a', 'b', 'c'], 2)
  const held: unknown[] = []
  q.consume('q', async () => void held.push((await backend.counts('q')).leased), { concurrency: 10 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(held).toEqual([1, 1, 1])
})

test('once it is taken for harmless the others come, unless its next crash would be its last', async () => {
  const late: (() => void)[] = []
  const { systemClock } = await import('@muster/core')
  // The clock of the facade alone: what it wants to hear of in ten seconds or more is told by hand.
  const clock = {
    ...systemClock,
    after: (ms: number, call: () => void) =>
      ms >= 10_000 && ms !== 30_000 ? (late.push(call), () => undefined) : systemClock.after(ms, call),
  }
  const bench = await start({ clock })
  const { q } = bench
  await suspects(bench, 'q', ['slow'], 2)
  const [reached, finish, seen] = [gate(), gate(), [] as unknown[]]
  q.consume(
    'q',
    async ({ body }) => {
      if (body === 'slow') reached.open()
      if (body === 'slow') await finish.opened
      seen.push(body)
    },
    { concurrency: 10, leaseMs: 30_000 },
  )
  await reached.opened
  await q.publish('q', 'beside')
  expect(seen).toEqual([])
  for (const call of late.splice(0)) call()
  await eventually(() => expect(seen).toEqual(['beside']))
  finish.open()
  await eventually(() => expect(seen).toEqual(['beside', 'slow']))

  const last = gate()
  await suspects(bench, 'last', ['killer'], 4)
  q.consume('last', () => last.opened)
  await eventually(async () => expect(await q.countQueueMessages('last')).toMatchObject({ leased: 1 }))
  expect(late).toEqual([])
  last.open()
})
