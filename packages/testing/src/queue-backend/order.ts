/** Conformance items 7-12: what receive promises, and in which order. */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RawDelivery } from '@muster/orchestrator'
import { expect, test } from 'vitest'
import { bench, bytes, crashesFit, judged, only, texts, type QueueBackendFactory } from './kit.js'

/** Proves items 7-12. */
export function orderSection(factory: QueueBackendFactory): void {
  test('7 an empty queue answers [] after waitMs', async () => {
    const b = await bench(factory)
    await judged(async ({ now, within }) => {
      const began = now()
      expect(await b.receive({ waitMs: 150 })).toEqual([])
      const ms = now() - began
      expect(ms).toBeGreaterThanOrEqual(149) // timers count whole milliseconds
      within('an empty receive', ms, 200)
    })
  })

  test('7 a waiting receive wakes within 50 ms of a publish', async () => {
    const b = await bench(factory)
    await judged(async ({ now, within }) => {
      const waiting = b.receive({ waitMs: 5_000 }).then((deliveries) => ({ deliveries, at: now() }))
      await sleep(20) // lets the receive settle into its wait; nothing depends on how long this takes
      await b.publish(['wake'])
      const published = now()
      const { deliveries, at } = await waiting
      await b.settle(only(deliveries), { as: 'ack' })
      within('waking', at - published, 50)
    })
  })

  test('7 of several that wait, each gets its share', async () => {
    const b = await bench(factory)
    const waiting = Array.from({ length: 5 }, () => b.receive({ waitMs: 5_000, max: 1 }))
    await b.publish(['1', '2', '3', '4', '5'])
    expect(texts((await Promise.all(waiting)).flat()).sort()).toEqual(['1', '2', '3', '4', '5'])
  })

  test('8 receive(max: n) gives n of n within 20 ms, never more, and never waits for more than is there', async () => {
    const b = await bench(factory)
    await judged(async ({ now, within }) => {
      await b.publish(Array.from({ length: 150 }, (_, n) => String(n)))
      let began = now()
      const hundred = await b.receive({ max: 100, waitMs: 5_000 })
      within('100 of 150', now() - began, 20)
      expect(hundred).toHaveLength(100)
      began = now()
      const rest = await b.receive({ max: 100, waitMs: 5_000 })
      within('the 50 that are left', now() - began, 50)
      expect(rest).toHaveLength(50)
      await b.backend.settle([...hundred, ...rest].map(({ receipt }) => ({ as: 'ack', receipt })))
    })
  })

  test.each([
    { max: 0 },
    { max: 1.5 },
    { leaseMs: 0 },
    { leaseMs: factory.capabilities.maxLeaseMs + 1 },
    { waitMs: -1 },
  ])('8 receive with %o throws', async (request) => {
    const b = await bench(factory)
    await expect(b.receive(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  if (factory.capabilities.priority) {
    test('9 strictly 9 to 0, first in first out within a priority', async () => {
      const b = await bench(factory)
      const messages = Array.from({ length: 300 }, (_, n) => ({ body: bytes(String(n)), priority: (n * 7) % 10 }))
      await b.backend.publish(b.queue, messages)
      const got: string[] = []
      for (let batch = await b.receive({ max: 7 }); batch.length > 0; batch = await b.receive({ max: 7 }))
        got.push(...texts(batch))
      const expected = messages
        .map(({ priority }, n) => ({ priority, n }))
        .sort((x, y) => y.priority - x.priority || x.n - y.n)
      expect(got).toEqual(expected.map(({ n }) => String(n)))
    })

    test('9 a late 9 overtakes everything that has not been handed out', async () => {
      const b = await bench(factory)
      await b.publish(
        Array.from({ length: 50 }, (_, n) => `low${n}`),
        { priority: 1 },
      )
      expect(texts(await b.receive({ max: 3 }))).toEqual(['low0', 'low1', 'low2'])
      await b.publish(['late'], { priority: 9 })
      expect(texts(await b.receive({ max: 2 }))).toEqual(['late', 'low3'])
    })
  }

  test('10 a delayed message is never early, and at most 250 ms late when idle', async () => {
    const b = await bench(factory)
    await judged(async ({ within }) => {
      const began = performance.now()
      await b.publish(['later'], { delayMs: 300 })
      expect(await b.receive()).toEqual([])
      const delivery = only(await b.receive({ waitMs: 5_000 }))
      const ms = performance.now() - began
      await b.settle(delivery, { as: 'ack' })
      expect(ms).toBeGreaterThanOrEqual(300)
      within('a delay of 300 ms', ms, 550)
    })
  })

  test('10 a delayed message is never early, however often somebody looks', async () => {
    const b = await bench(factory)
    const began = performance.now()
    await b.publish(['later'], { delayMs: 120 })
    for (;;) {
      const found = await b.receive()
      const ms = performance.now() - began
      if (found.length > 0) return expect(ms).toBeGreaterThanOrEqual(120)
      if (ms > 10_000) return expect.fail('it never came')
      await sleep(1)
    }
  })

  test('10 equal delays of one producer keep their order', async () => {
    const b = await bench(factory)
    const bodies = Array.from({ length: 200 }, (_, n) => String(n))
    await b.publish(bodies.slice(0, 100), { delayMs: 100 })
    await b.publish(bodies.slice(100), { delayMs: 100 })
    const got: RawDelivery[] = []
    while (got.length < 200) {
      const some = await b.receive({ waitMs: 5_000 })
      await b.backend.settle(some.map(({ receipt }) => ({ as: 'ack', receipt })))
      got.push(...some)
    }
    expect(got.every(({ crashes }) => crashesFit(factory, crashes, 0))).toBe(true)
    const again = new Set(texts(got.filter(({ crashes }) => crashes > 0)))
    expect(texts(got.filter(({ crashes }) => crashes === 0))).toEqual(bodies.filter((body) => !again.has(body)))
  })

  test('10 a long delay does not hold up a short one', async () => {
    const b = await bench(factory)
    await b.publish(['long'], { delayMs: 60_000 })
    await b.publish(['short'], { delayMs: 50 })
    expect(texts(await b.receive({ waitMs: 5_000 }))).toEqual(['short'])
  })

  test('10 a delay keeps the priority', async () => {
    const b = await bench(factory)
    await b.publish(['five'], { delayMs: 40, priority: 5 })
    await b.publish(['nine'], { delayMs: 40, priority: 5 + (factory.capabilities.priority ? 4 : 0) })
    await expect.poll(() => b.backend.counts(b.queue), { timeout: 5_000, interval: 20 }).toMatchObject({ ready: 2 })
    const got = texts(await b.receive())
    expect(got).toEqual(factory.capabilities.priority ? ['nine', 'five'] : ['five', 'nine'])
  })

  test('10 a delay beyond 30 days throws', async () => {
    const b = await bench(factory)
    const tooLong = b.backend.publish(b.queue, [{ body: bytes('a'), delayMs: 31 * 86_400_000 }])
    await expect(tooLong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('11 a leased message is invisible to others', async () => {
    const b = await bench(factory)
    await b.publish(['mine'])
    only(await b.receive())
    expect(await b.receive({ waitMs: 100 })).toEqual([])
  })

  test('12 odd names stay apart, and listings show them', async () => {
    const b = await bench(factory)
    const names = [
      'a',
      'a:b',
      'a/b',
      'a b',
      'a%3Ab',
      'ä',
      'a\u0308',
      '*',
      '__proto__',
      '日本',
      'x'.repeat(255),
      'ü'.repeat(255),
    ]
    for (const name of names) await b.backend.publish(name, [{ body: bytes(name) }])
    expect(await b.backend.list()).toEqual([...names].sort())
    for (const queue of names) expect(texts(await b.receive({ queue }))).toEqual([queue])
  })

  test.each(['', 'x'.repeat(256), '\ud800'])('12 the name %j throws', async (name) => {
    const b = await bench(factory)
    await expect(b.backend.publish(name, [{ body: bytes('a') }])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('12 two namespaces stay apart', async () => {
    const [one, two] = [await bench(factory), await bench(factory)]
    await one.publish(['one'])
    expect(await two.receive({ queue: one.queue })).toEqual([])
    expect(await two.backend.list()).not.toContain(one.queue)
  })
}
