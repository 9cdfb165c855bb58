/**
 * What only other processes can show, by being killed, frozen or wrong about the time: items 1, 16, 22-27. Invariant: each is a real process that
 * opened the backend by itself, and dies as processes die, without a word.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { openOrchestrator } from '@muster/orchestrator'
import { expect, test } from 'vitest'
import { bench, crashesFit, judged, only, startPeer, texts, type QueueBackendFactory } from './kit.js'
import type { Peer } from './peer.js'

const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n))

/** Proves items 1, 22, 24, 26 and 27 with other processes, where the backend is shared. */
export function processSection(factory: QueueBackendFactory): void {
  const { dedup } = factory.capabilities
  const holding = (namespace: string, clockOffsetMs = 0): Promise<Peer> =>
    startPeer(factory, { namespace, clockOffsetMs })

  test('1 a process that is killed in the moment when publish resolves: every message is there', async () => {
    const b = await bench(factory)
    const peer = await holding(b.namespace)
    const messages = numbered(50).map((text) => ({ text }))
    await expect(peer.call('publishAndDie', b.queue, messages)).rejects.toThrow(/SIGKILL/)
    expect(texts(await b.receive({ waitMs: 5_000 }))).toEqual(numbered(50))
  })

  test('1 what one process has published outlives it: closed and opened again, it is there', async () => {
    const b = await bench(factory)
    await b.publish(['kept'])
    await b.publish(['late'], { delayMs: 300 })
    await b.backend.close()
    const again = await bench(factory, { namespace: b.namespace })
    const kept = only(await again.receive({ queue: b.queue, max: 1, waitMs: 5_000 }))
    expect(texts([kept])).toEqual(['kept'])
    expect(texts(await again.receive({ queue: b.queue, waitMs: 5_000 }))).toEqual(['late'])
  })

  test('22 a pause holds in every process: nothing new within 1 s, what is in flight finishes, resume continues', async () => {
    const b = await bench(factory)
    const peer = await holding(b.namespace)
    await b.publish(['in flight'])
    const { key } = only(await peer.call('receive', { queue: b.queue, max: 1, waitMs: 5_000, leaseMs: 30_000 }))
    const waiting = peer.call('receive', { queue: b.queue, max: 1, waitMs: 2_000, leaseMs: 30_000 })
    await b.backend.setPaused(b.queue, true)
    await sleep(1_000) // the second in which a pause may take hold
    await b.publish(['new'])
    expect(await waiting).toEqual([])
    expect((await peer.call('counts', b.queue)).paused).toBe(true)
    expect(await peer.call('ack', key)).toEqual(['settled'])
    const next = b.receive({ waitMs: 20_000 })
    await peer.call('setPaused', b.queue, false)
    expect(texts(await next)).toEqual(['new'])
  })

  test('24 a killed consumer: what it held comes back within lease + 1 s, one crash each, the rest untouched', async () => {
    const b = await bench(factory)
    await judged(async ({ now, within }) => {
      const leaseMs = 1_000
      const peer = await holding(b.namespace)
      await b.publish(numbered(40))
      const held = await peer.call('receive', { queue: b.queue, max: 20, waitMs: 5_000, leaseMs })
      expect(held).toHaveLength(20)
      const killed = now()
      await peer.kill()
      const back: string[] = []
      const seen = new Set<string>()
      while (seen.size < 40) {
        const deliveries = await b.receive({ waitMs: 30_000 })
        expect(deliveries.length).toBeGreaterThan(0)
        for (const delivery of deliveries) {
          const wasHeld = held.some(({ id }) => id === delivery.id)
          expect(delivery.tries).toBe(0)
          expect(delivery.crashes).toSatisfy((counted: number) => crashesFit(factory, counted, wasHeld ? 1 : 0))
          back.push(delivery.id)
          seen.add(delivery.id)
        }
        await b.backend.settle(deliveries.map(({ receipt }) => ({ as: 'ack', receipt })))
      }
      within('redelivery after the kill', now() - killed, leaseMs + 1_000)
      const copies = [...back, ...(await b.receive()).map(({ id }) => id)].length - 40
      if (copies > 0) console.info(`${factory.name}: ${copies} duplicates after a killed consumer that held 20`)
      expect(copies).toBeLessThanOrEqual(dedup ? 0 : 20)
    })
  })

  test('26 a message that kills its consumer each time becomes a dead letter, and its neighbours do not', async () => {
    const b = await bench(factory)
    const names = numbered(12).map((name) => `neighbour ${name}`)
    const orchestrator = await openOrchestrator({ backend: b.backend })
    const bodies = [...names.slice(0, 3), 'kill', ...names.slice(3)]
    await orchestrator.publishMany(
      b.queue,
      bodies.map((body) => ({ body })),
    )
    const handled = new Set<string>()
    let kills = 0
    const over = async (): Promise<boolean> => {
      const { ready, dead } = await b.backend.counts(b.queue)
      return ready === 0 && dead > 0 && handled.size === names.length
    }
    while (!(await over())) {
      const peer = await holding(b.namespace)
      peer.call('handle', b.queue, 4, 300, 1_000).catch(() => undefined) // the killer may be quicker than the answer
      let killed = false
      const ended = peer.ended.then(() => (killed = true))
      while (!killed && !(await over())) {
        await Promise.race([ended, sleep(50)])
        for (const name of peer.handled) handled.add(name)
      }
      if (killed) kills++
    }
    const { letters } = await b.backend.browseDead(b.queue, { limit: 100 })
    expect(only(letters)).toMatchObject({ reason: 'max-crashes', crashes: 5 })
    expect(texts(letters)).toEqual(['"kill"'])
    expect([...handled].sort()).toEqual([...names].sort())
    expect(5).toSatisfy((counted: number) => crashesFit(factory, counted, kills))
  }, 90_000)

  test.each([-300_000, 300_000])(
    '27 the clock of a process is wrong by %d ms: its delays and leases are right all the same',
    async (clockOffsetMs) => {
      const b = await bench(factory)
      const peer = await holding(b.namespace, clockOffsetMs)
      await b.publish(['held'])
      const { leftMs } = only(await peer.call('receive', { queue: b.queue, max: 1, waitMs: 5_000, leaseMs: 1_000 }))
      const began = performance.now()
      expect(leftMs).toBeLessThanOrEqual(1_000)
      await peer.call('publish', b.queue, [{ text: 'delayed', delayMs: 500 }])
      const published = performance.now()
      const delayed = only(await b.receive({ waitMs: 20_000 }))
      expect(texts([delayed])).toEqual(['delayed'])
      expect(performance.now() - began).toBeGreaterThanOrEqual(500)
      expect(performance.now() - published).toBeLessThan(5_000)
      const back = only(await b.receive({ waitMs: 20_000 }))
      expect(texts([back])).toEqual(['held'])
      expect(back).toMatchObject({ crashes: 1 })
      expect(performance.now() - began).toBeGreaterThanOrEqual(leftMs - 5)
      expect(performance.now() - began).toBeLessThan(6_000)
    },
  )
}

/** What absence means: items that need other processes are about nothing here, and that is shown, not assumed. */
export function loneSection(factory: QueueBackendFactory): void {
  test('1 [durable absent: closed and opened again, nothing is there]', async () => {
    const b = await bench(factory)
    await b.publish(['gone'])
    await b.backend.close()
    const again = await bench(factory, { namespace: b.namespace })
    expect(await again.receive({ queue: b.queue, waitMs: 100 })).toEqual([])
  })

  test('22 [shared absent: what another has opened by the same name is another]', async () => {
    const b = await bench(factory)
    const other = await bench(factory, { namespace: b.namespace })
    await b.publish(['mine'])
    await other.backend.setPaused(b.queue, true)
    expect(await other.receive({ queue: b.queue })).toEqual([])
    expect(texts(await b.receive())).toEqual(['mine'])
  })
}
