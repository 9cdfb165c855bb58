/** What only the local backend promises: bounded memory, one timer, nothing left of a queue that is empty. */
import { systemClock, systemIds } from '@muster/core'
import { expect, test } from 'vitest'
import type { QueueBackend } from '../../src/backend.js'
import { open } from '../../src/backends/local.js'
import { ManualClock } from './manual-clock.js'

const DAY = 86_400_000
const request = { queue: 'q', max: 10, waitMs: 0, leaseMs: 1_000 }
const body = new Uint8Array(1_000)

async function received(backend: QueueBackend): Promise<number> {
  return (await backend.receive(request)).length
}

test('memory is bounded: beyond it a publish is refused like that to a full queue, until something leaves', async () => {
  const backend = open({ clock: systemClock, ids: systemIds, maxBytes: 4_000 })
  const outcomes = await backend.publish('q', [{ body }, { body }, { body }])
  expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'failed'])
  expect(outcomes[2]).toMatchObject({ error: { code: 'QUEUE_FULL', retryable: true } })
  const [first] = await backend.receive({ ...request, max: 1 })
  expect((await backend.publish('other', [{ body }]))[0]?.status).toBe('failed')
  if (first) await backend.settle([{ as: 'ack', receipt: first.receipt }])
  expect((await backend.publish('other', [{ body }]))[0]?.status).toBe('accepted')
})

test('a delay beyond the longest timer of Node is kept, in steps', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  await backend.publish('q', [{ body, delayMs: 29 * DAY }])
  clock.advance(29 * DAY - 1)
  expect(await received(backend)).toBe(0)
  clock.advance(1)
  expect(await received(backend)).toBe(1)
  expect(clock.longestTimer).toBeLessThan(2 ** 31)
})

test('a queue has one timer, however many deadlines', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  for (let n = 0; n < 50; n++) await backend.publish('q', [{ body }, { body, delayMs: 1_000 - n }])
  expect(await received(backend)).toBe(10)
  expect(clock.pending).toBe(1)
  await backend.close()
  expect(clock.pending).toBe(0)
})

test('a queue that nobody declared is forgotten with its timer as soon as it holds nothing; a declared one stays', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  await backend.declare('declared')
  await backend.publish('q', [{ body }])
  expect(await backend.list()).toEqual(['declared', 'q'])
  for (const { receipt } of await backend.receive(request)) await backend.settle([{ as: 'ack', receipt }])
  await backend.counts('asked only')
  expect(await backend.list()).toEqual(['declared'])
  expect(clock.pending).toBe(0)
})

test('a queue waits for its messages to come back: the lease of a holder that is gone ends though nobody asks', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  await backend.publish('q', [{ body }])
  await backend.receive(request)
  const waiting = backend.receive({ ...request, waitMs: 60_000 })
  clock.advance(999)
  expect(await backend.counts('q')).toMatchObject({ leased: 1 })
  clock.advance(1)
  expect(await waiting).toMatchObject([{ crashes: 1 }])
})

test('the oldest is the one that has waited longest, whatever its priority', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  await backend.publish('q', [{ body, priority: 1 }])
  clock.advance(500)
  await backend.publish('q', [{ body, priority: 9 }])
  clock.advance(10)
  expect((await backend.counts('q')).oldestMs).toBe(510)
})

test('messages that fall due at the same instant keep the order in which they were published', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  const ids = Array.from({ length: 100 }, (_, n) => `m${n}`)
  await backend.publish(
    'q',
    ids.map((id) => ({ id, body, delayMs: 50 })),
  )
  clock.advance(50)
  expect((await backend.receive({ ...request, max: 100 })).map(({ id }) => id)).toEqual(ids)
})

test('a holder whose lease is due at this instant is too late', async () => {
  const clock = new ManualClock()
  const backend = open({ clock, ids: systemIds })
  await backend.publish('q', [{ body }])
  const batch = (await backend.receive(request)).map(({ receipt }) => ({ as: 'ack' as const, receipt }))
  clock.advance(1_000)
  expect(await backend.settle(batch)).toEqual(['lease-lost'])
})
