/**
 * Deliveries that arrive when their lease has ended already, after a slow network or in a process that was frozen: no handler begins on them,
 * since another may have the message, and what is left of a lease is extended in time.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { defineQueue } from '../../src/queue-definition.js'
import { empty, eventually, start } from './kit.js'

test('a handler does not begin on what arrived after its lease', async () => {
  const { q, slow } = await start()
  const [handled, lost] = [[] as number[], [] as string[]]
  q.on('lease-lost', ({ id }) => lost.push(id))
  slow.push(({ leaseUntil }) => sleep(leaseUntil - performance.now() + 30))
  const { id } = await q.publish('q', 'late')
  const consumer = q.consume('q', ({ crashes }) => void handled.push(crashes), { leaseMs: 100 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect({ handled, lost }).toEqual({ handled: [1], lost: [id] })
  await eventually(() => expect(consumer.active).toBe(0))
})

test('nor on one whose lease ended while its body was checked', async () => {
  const { q, cut } = await start()
  cut.add('extend')
  const waits = [250]
  const validate = async (value: unknown): Promise<{ value: unknown }> => {
    await sleep(waits.pop() ?? 0)
    return { value }
  }
  const slowly = { '~standard': { version: 1 as const, vendor: 'test', validate } }
  const checked = defineQueue('q', { schema: slowly })
  await q.publish('q', 'late')
  const handled: number[] = []
  const consumer = q.consume(checked, ({ crashes }) => void handled.push(crashes), { leaseMs: 100 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(handled).toEqual([1])
  await eventually(() => expect(consumer.active).toBe(0))
})

test('a loop and a receive by hand do not get it either', async () => {
  const { q, slow } = await start()
  const late: (typeof slow)[number] = ({ leaseUntil }) => sleep(leaseUntil - performance.now() + 30)
  slow.push(late)
  await q.publish('q', 'late')
  const byHand = await q.receiveMessage('q', { leaseMs: 100, waitMs: 5_000 })
  expect(byHand?.crashes).toBe(1)
  await byHand?.ack()
  slow.push(late)
  await q.publish('q', 'late again')
  expect(await q.receiveMessage('q', { leaseMs: 100, waitMs: 0 })).toBeUndefined()
  slow.push(late)
  for await (const { crashes } of q.consume('q', { leaseMs: 100 })) {
    expect(crashes).toBe(2)
    break
  }
})

test('what arrives late in its lease is extended before it ends', async () => {
  const { q, slow, calls } = await start()
  slow.push(({ leaseUntil }) => sleep(leaseUntil - performance.now() - 400))
  await q.publish('q', 'nearly late')
  const handled: number[] = []
  const handler = async ({ crashes, signal }: { crashes: number; signal: AbortSignal }): Promise<void> => {
    await sleep(900)
    if (!signal.aborted) handled.push(crashes)
  }
  q.consume('q', handler, { leaseMs: 2_000 })
  await eventually(async () => expect(await q.countQueueMessages('q')).toMatchObject(empty))
  expect(handled).toEqual([0])
  expect(calls.extend.length).toBeGreaterThan(0)
})
