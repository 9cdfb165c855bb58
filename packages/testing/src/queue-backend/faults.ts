/** Conformance items 23, 25, 27, 31 and 32, as far as one process can show them: time, wrong clocks, closing, aborting. */
import { performance } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { bench, crashesFit, judged, only, texts, wrongClock, type QueueBackendFactory } from './kit.js'

/** Proves items 23, 25, 27, 31, 32. */
export function faultSection(factory: QueueBackendFactory): void {
  test('23 an expired lease is redelivered within lease + 1 s with crashes + 1, tries unchanged', async () => {
    const b = await bench(factory)
    await judged(async ({ within }) => {
      await b.publish(['a'])
      const began = performance.now()
      only(await b.receive({ leaseMs: 200 }))
      const again = only(await b.receive({ waitMs: 30_000 }))
      const ms = performance.now() - began
      expect(ms).toBeGreaterThanOrEqual(200)
      expect(again).toMatchObject({ crashes: 1, tries: 0 })
      await b.settle(again, { as: 'ack' })
      within('redelivery after a lease of 200 ms', ms, 1_200)
    })
  })

  if (factory.capabilities.keepsPlace)
    test('23 an expired lease goes back to the old place', async () => {
      const b = await bench(factory)
      await b.publish(['0', '1', '2'])
      only(await b.receive({ max: 1, leaseMs: 40 }))
      await expect.poll(async () => (await b.backend.counts(b.queue)).ready, { timeout: 10_000 }).toBe(3)
      expect(texts(await b.receive())).toEqual(['0', '1', '2'])
    })

  test('25 a holder that was frozen past its lease is refused, though no timer has run meanwhile', async () => {
    const b = await bench(factory)
    await b.publish(['a'])
    const held = only(await b.receive({ leaseMs: 60 }))
    // A server counts the lease from when the question reached it, which is later than the call by the way there.
    while (performance.now() <= held.leaseUntil + 300); // the event loop stands still, as it does under SIGSTOP
    expect(await b.settle(held, { as: 'ack' })).toBe('lease-lost')
    expect(only(await b.receive({ waitMs: 10_000 + factory.capabilities.frozenHolderBoundMs })).crashes).toBe(1)
  })

  test.each([-300_000, 300_000])(
    '27 a wall clock that is wrong by %d ms changes no delay and no lease',
    async (offset) => {
      const b = await bench(factory, { clock: wrongClock(offset) })
      await b.publish(['now'])
      await b.publish(['later'], { delayMs: 120 })
      const began = performance.now()
      const held = only(await b.receive({ leaseMs: 200 }))
      const later = only(await b.receive({ waitMs: 5_000, leaseMs: 2_000 }))
      expect(texts([held, later])).toEqual(['now', 'later'])
      const again = only(await b.receive({ waitMs: 10_000 }))
      expect(texts([again])).toEqual(['now'])
      const ms = performance.now() - began
      expect(ms).toBeGreaterThanOrEqual(200)
      expect(ms).toBeLessThan(10_000)
    },
  )

  test('31 close ends waiting receives with nothing; twice is once; afterwards every call says so', async () => {
    const b = await bench(factory)
    await b.publish(['held'])
    const held = only(await b.receive())
    const waiting = [b.receive({ waitMs: 60_000 }), b.receive({ waitMs: 60_000 })]
    await Promise.all([b.backend.close(), b.backend.close()])
    expect(await Promise.all(waiting)).toEqual([[], []])
    await b.backend.close()
    const closed = { code: 'BACKEND_CLOSED' }
    await expect(b.publish(['a'])).rejects.toMatchObject(closed)
    await expect(b.receive()).rejects.toMatchObject(closed)
    await expect(b.settle(held, { as: 'ack' })).rejects.toMatchObject(closed)
    await expect(b.backend.extend([{ receipt: held.receipt, leaseMs: 1_000 }])).rejects.toMatchObject(closed)
    await expect(b.backend.counts(b.queue)).rejects.toMatchObject(closed)
    await expect(b.backend.list()).rejects.toMatchObject(closed)
    await expect(b.backend.declare(b.queue)).rejects.toMatchObject(closed)
    await expect(b.backend.browseDead(b.queue, { limit: 1 })).rejects.toMatchObject(closed)
    await expect(b.backend.redrive(b.queue)).rejects.toMatchObject(closed)
    await expect(b.backend.clean(b.queue)).rejects.toMatchObject(closed)
    await expect(b.backend.setPaused(b.queue, true)).rejects.toMatchObject(closed)
  })

  test('32 aborting a waiting receive rejects with AbortError and leaks no lease', async () => {
    const b = await bench(factory)
    const abort = new AbortController()
    const waiting = b.receive({ waitMs: 60_000, signal: abort.signal })
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await b.publish(['a'])
    expect(only(await b.receive({ waitMs: 5_000 }))).toMatchObject({ tries: 0, crashes: 0 })
  })

  test('32 a signal that is already aborted: nothing is received, nothing is published', async () => {
    const b = await bench(factory)
    const signal = AbortSignal.abort()
    await b.publish(['a'])
    await expect(b.receive({ signal })).rejects.toMatchObject({ name: 'AbortError' })
    const publishing = b.backend.publish(b.queue, [{ body: new Uint8Array() }], { signal })
    await expect(publishing).rejects.toMatchObject({ name: 'AbortError' })
    expect(texts(await b.receive())).toEqual(['a'])
  })

  test('32 aborts that race with publishes: each message is handed to exactly one receive, or still there', async () => {
    const b = await bench(factory)
    let delivered = 0
    for (let round = 0; round < 60; round++) {
      const abort = new AbortController()
      const waiting = b.receive({ waitMs: 5_000, max: 1, signal: abort.signal })
      const publishing = b.publish([String(round)])
      if (round % 3 === 0) abort.abort()
      else if (round % 3 === 1) queueMicrotask(() => abort.abort())
      else setImmediate(() => abort.abort())
      const [outcome] = await Promise.allSettled([waiting, publishing])
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ name: 'AbortError' })
      else delivered += outcome.value.length
    }
    const left = await b.receive({ waitMs: 1_000 })
    expect(delivered + left.length).toBe(60)
    expect(left.every(({ crashes, tries }) => crashesFit(factory, crashes, 0) && tries === 0)).toBe(true)
  })
}
