/** Conformance items 13-18: how a delivery ends, and who may end it. */
import { performance } from 'node:perf_hooks'
import type { Receipt } from '@muster/orchestrator'
import { expect, test } from 'vitest'
import { bench, only, texts, type QueueBackendFactory } from './kit.js'

/** Proves items 13-18. */
export function settleSection(factory: QueueBackendFactory): void {
  const { exactCounts, keepsPlace, priority } = factory.capabilities
  const known = (count: number): number | undefined => (exactCounts ? count : undefined)

  test('13 ack removes, and the counts at rest are exact', async () => {
    const b = await bench(factory)
    await b.publish(['a', 'b', 'c', 'd'])
    await b.publish(['later'], { delayMs: 60_000 })
    const [a, c] = await b.receive({ max: 2 })
    if (a) expect(await b.settle(a, { as: 'ack' })).toBe('settled')
    if (c) expect(await b.settle(c, { as: 'dead', reason: 'no' })).toBe('dead')
    only(await b.receive({ max: 1 }))
    const counts = await b.backend.counts(b.queue)
    expect(counts).toMatchObject({ ready: 1, delayed: known(1), leased: known(1), dead: 1, paused: false })
    if (exactCounts) expect(counts.oldestMs).toBeTypeOf('number')
  })

  test('13 an unknown queue counts as empty', async () => {
    const b = await bench(factory)
    const counts = await b.backend.counts(b.queue)
    expect(counts).toMatchObject({ ready: 0, delayed: known(0), leased: known(0), dead: 0, paused: false })
    if (exactCounts) expect(counts.oldestMs).toBeNull()
  })

  test('13 settled stays settled', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    await b.settle(only(await b.receive({ leaseMs: 100 })), { as: 'ack' })
    expect(await b.receive({ waitMs: 300 })).toEqual([])
  })

  test('13 a batch of settlements is answered by index', async () => {
    const b = await bench(factory)
    await b.publish(['0', '1', '2', '3'])
    const deliveries = await b.receive()
    const ways = [{ as: 'ack' }, { as: 'dead', reason: 'no' }, { as: 'release' }, { as: 'retry', delayMs: 0 }] as const
    const batch = deliveries.map(({ receipt }, index) => ({ ...(ways[index] ?? ways[0]), receipt }))
    expect(await b.backend.settle(batch)).toEqual(['settled', 'dead', 'settled', 'settled'])
    expect(await b.backend.settle(batch)).toEqual(Array(4).fill('already-settled'))
  })

  test('14 a second settle answers already-settled and changes nothing, whatever the first was', async () => {
    const b = await bench(factory)
    for (const first of [{ as: 'ack' }, { as: 'release' }, { as: 'retry', delayMs: 0 }] as const) {
      await b.backend.clean(b.queue)
      await b.publish(['a'])
      const delivery = only(await b.receive())
      expect(await b.settle(delivery, first)).toBe('settled')
      const before = await b.backend.counts(b.queue)
      expect(await b.settle(delivery, { as: 'dead', reason: 'again' })).toBe('already-settled')
      expect(await b.backend.counts(b.queue)).toMatchObject({ ready: before.ready, dead: 0 })
      // Not even while somebody else holds the message.
      const next = await b.receive()
      expect(await b.settle(delivery, { as: 'ack' })).toBe('already-settled')
      for (const other of next) expect(await b.settle(other, { as: 'ack' })).toBe('settled')
    }
  })

  test('14 a receipt is the object that came with the delivery: no copy of it settles anything', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const { receipt } = only(await b.receive())
    const copy: Receipt = { ...receipt }
    const forged: Receipt = { queue: receipt.queue, id: receipt.id }
    expect(await b.backend.settle([copy, forged].map((one) => ({ as: 'ack', receipt: one })))).toEqual([
      'lease-lost',
      'lease-lost',
    ])
    expect(await b.backend.settle([{ as: 'ack', receipt }])).toEqual(['settled'])
  })

  test('15 a receipt that is no longer current answers lease-lost and leaves the new delivery alone', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const old = only(await b.receive({ leaseMs: 50 }))
    const fresh = only(await b.receive({ waitMs: 10_000 }))
    for (const how of [
      { as: 'ack' },
      { as: 'release' },
      { as: 'retry', delayMs: 0 },
      { as: 'dead', reason: 'x' },
    ] as const)
      expect(await b.settle(old, how)).toBe('lease-lost')
    expect(await b.backend.extend([{ receipt: old.receipt, leaseMs: 1_000 }])).toEqual(['lease-lost'])
    expect(await b.settle(fresh, { as: 'ack' })).toBe('settled')
  })

  test('15 a lease that ended is lost even if nobody has taken the message yet', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const old = only(await b.receive({ leaseMs: 40 }))
    await expect.poll(() => performance.now() > old.leaseUntil + 1, { timeout: 5_000 }).toBe(true)
    expect(await b.settle(old, { as: 'ack' })).toBe('lease-lost')
  })

  test('16 extend moves the expiry; after the expiry it answers lease-lost', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const began = performance.now()
    const held = only(await b.receive({ leaseMs: 200 }))
    expect(await b.backend.extend([{ receipt: held.receipt, leaseMs: 600 }])).toEqual(['extended'])
    const next = only(await b.receive({ waitMs: 10_000 }))
    expect(performance.now() - began).toBeGreaterThanOrEqual(600)
    expect(next).toMatchObject({ crashes: 1, tries: 0 })
    expect(await b.backend.extend([{ receipt: held.receipt, leaseMs: 600 }])).toEqual(['lease-lost'])
    await b.settle(next, { as: 'ack' })
    expect(await b.backend.extend([{ receipt: next.receipt, leaseMs: 600 }])).toEqual(['already-settled'])
  })

  test('16 extend can also bring the expiry nearer', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const held = only(await b.receive({ leaseMs: 30_000 }))
    expect(await b.backend.extend([{ receipt: held.receipt, leaseMs: 50 }])).toEqual(['extended'])
    expect(only(await b.receive({ waitMs: 10_000 })).crashes).toBe(1)
  })

  test('17 retry(0) redelivers with tries + 1, behind what waits', async () => {
    const b = await bench(factory)
    await b.publish(['first', 'second'])
    await b.settle(only(await b.receive({ max: 1 })), { as: 'retry', delayMs: 0 })
    const [second, first] = await b.receive()
    expect(texts([second, first].flatMap((delivery) => delivery ?? []))).toEqual(['second', 'first'])
    expect(first).toMatchObject({ tries: 1, crashes: 0 })
  })

  test('17 retry(delay) honours the delay and the priority', async () => {
    const b = await bench(factory)
    const urgent = priority ? 8 : 5
    await b.publish(['again'], { priority: urgent })
    const began = performance.now()
    await b.settle(only(await b.receive()), { as: 'retry', delayMs: 1_000 })
    expect(await b.receive()).toEqual([])
    const delivery = only(await b.receive({ waitMs: 5_000 }))
    expect(performance.now() - began).toBeGreaterThanOrEqual(1_000)
    expect(delivery).toMatchObject({ tries: 1, priority: urgent })
  })

  test('17 a retry with an impossible delay throws and settles nothing', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const delivery = only(await b.receive())
    await expect(b.settle(delivery, { as: 'retry', delayMs: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await b.settle(delivery, { as: 'ack' })).toBe('settled')
  })

  test(`18 release gives back without counting a try${keepsPlace ? ', at the old place' : ''}`, async () => {
    const b = await bench(factory)
    await b.publish(['0', '1', '2', '3', '4'])
    const [zero, one, two] = await b.receive({ max: 3 })
    // In an order of its own: the place does not depend on who comes back first.
    for (const delivery of [one, two, zero])
      if (delivery) expect(await b.settle(delivery, { as: 'release' })).toBe('settled')
    const again = await b.receive()
    if (keepsPlace) expect(texts(again)).toEqual(['0', '1', '2', '3', '4'])
    expect(texts(again).sort()).toEqual(['0', '1', '2', '3', '4'])
    expect(again.every(({ tries, crashes }) => tries === 0 && crashes === 0)).toBe(true)
  })

  test('18 a release wakes who waits', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const held = only(await b.receive())
    const waiting = b.receive({ waitMs: 10_000 })
    await b.settle(held, { as: 'release' })
    only(await waiting)
  })
}
