/** Conformance items 19-22: dead letters, cleaning, pausing. */
import { performance } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { bench, judged, offered, only, texts, type Bench, type QueueBackendFactory } from './kit.js'

async function kill(b: Bench, bodies: readonly string[]): Promise<void> {
  await b.publish(bodies)
  for (const delivery of await b.receive()) await b.settle(delivery, { as: 'dead', reason: 'on purpose' })
}

/** Proves items 19-22. */
export function deadSection(factory: QueueBackendFactory): void {
  const priority = factory.capabilities.priority ? 7 : 5

  test('19 after the last try a message is a dead letter with reason, counts, body and priority', async () => {
    const b = await bench(factory)
    await b.backend.declare(b.queue, { maxTries: 3 })
    const [id] = await b.publish(['stubborn'], { priority })
    const outcomes = []
    for (const tries of [0, 1, 2]) {
      const delivery = only(await b.receive({ waitMs: 5_000 }))
      expect(delivery.tries).toBe(tries)
      outcomes.push(await b.settle(delivery, { as: 'retry', delayMs: 0, reason: `failed ${tries}` }))
    }
    expect(outcomes).toEqual(['settled', 'settled', 'dead'])
    const { letters } = await b.backend.browseDead(b.queue, { limit: 10 })
    expect(only(letters)).toMatchObject({ id, priority, tries: 3, crashes: 0, reason: 'max-tries', detail: 'failed 2' })
    expect(texts(letters)).toEqual(['stubborn'])
    expect(await b.receive()).toEqual([])
  })

  test('19 after the last crash a message is a dead letter; crashes and tries are counted apart', async () => {
    const b = await bench(factory)
    await b.backend.declare(b.queue, { maxCrashes: 2 })
    await b.publish(['poison'], { priority })
    await b.settle(only(await b.receive()), { as: 'retry', delayMs: 0 })
    only(await b.receive({ leaseMs: 30 }))
    expect(only(await b.receive({ waitMs: 10_000, leaseMs: 30 }))).toMatchObject({ tries: 1, crashes: 1 })
    await expect.poll(async () => (await b.backend.counts(b.queue)).dead, { timeout: 10_000 }).toBe(1)
    const { letters } = await b.backend.browseDead(b.queue, { limit: 10 })
    expect(only(letters)).toMatchObject({ priority, tries: 1, crashes: 2, reason: 'max-crashes' })
    expect(texts(letters)).toEqual(['poison'])
  })

  test('19 a refusal makes a dead letter with the reason that was given', async () => {
    const b = await bench(factory)
    await b.publish(['no'])
    await b.settle(only(await b.receive()), { as: 'dead', reason: 'not for us: ü' })
    const { letters } = await b.backend.browseDead(b.queue, { limit: 10 })
    expect(only(letters)).toMatchObject({ reason: 'rejected', detail: 'not for us: ü', tries: 0, crashes: 0 })
  })

  test('20 listing dead letters loses, reorders and hides nothing', async () => {
    const b = await bench(factory)
    await kill(b, ['0', '1', '2', '3', '4'])
    for (const limit of [2, 5, 100]) {
      const { letters } = await b.backend.browseDead(b.queue, { limit })
      expect(texts(letters)).toEqual(['0', '1', '2', '3', '4'].slice(0, limit))
    }
    await expect.poll(async () => (await b.backend.counts(b.queue)).dead, { timeout: 5_000 }).toBe(5)
  })

  offered(factory, 'browse', '20 dead letters in pages, each once', {
    present: async (b) => {
      const bodies = Array.from({ length: 25 }, (_, n) => String(n))
      await kill(b, bodies)
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await b.backend.browseDead(b.queue, { limit: 10, ...(cursor !== undefined && { cursor }) })
        seen.push(...texts(page.letters))
        cursor = page.cursor
        // A letter that leaves between two pages moves none of the others.
        if (seen.length === 10 && factory.capabilities.byId)
          await b.backend.clean(b.queue, { state: 'dead', ids: [page.letters[3]?.id ?? ''] })
      } while (cursor !== undefined)
      expect(seen).toEqual(bodies)
    },
    absent: (b) => b.backend.browseDead(b.queue, { limit: 1, cursor: '1' }),
  })

  test('20 redrive puts dead letters back in order, and both counts start again', async () => {
    const b = await bench(factory)
    await b.backend.declare(b.queue, { maxTries: 1 })
    await b.publish(['0', '1', '2'])
    for (const delivery of await b.receive()) expect(await b.settle(delivery, { as: 'retry', delayMs: 0 })).toBe('dead')
    expect(await b.backend.redrive(b.queue, { limit: 2 })).toBe(2)
    const back = await b.receive({ waitMs: 5_000 })
    expect(texts(back)).toEqual(['0', '1'])
    expect(back.every(({ tries, crashes }) => tries === 0 && crashes === 0)).toBe(true)
    expect(await b.backend.redrive(b.queue)).toBe(1)
    expect(texts(await b.receive({ waitMs: 5_000 }))).toEqual(['2'])
    expect(await b.backend.redrive(b.queue, { limit: 1 })).toBe(0)
    expect(await b.backend.redrive(b.queue)).toBe(0)
  })

  offered(factory, 'byId', '20 redrive and clean by id', {
    present: async (b) => {
      await b.publish(['a', 'b', 'c', 'd'])
      const [a, bb, c, d] = (await b.receive()).map(({ id, receipt }) => ({ id, receipt }))
      const all = [a, bb, c, d].flatMap((one) =>
        one ? [{ as: 'dead' as const, reason: 'x', receipt: one.receipt }] : [],
      )
      await b.backend.settle(all)
      expect(await b.backend.redrive(b.queue, { ids: [c?.id ?? '', 'unknown'] })).toBe(1)
      expect(await b.backend.clean(b.queue, { state: 'dead', ids: [a?.id ?? '', 'unknown'] })).toBe(1)
      expect(texts(await b.receive())).toEqual(['c'])
      expect(texts((await b.backend.browseDead(b.queue, { limit: 10 })).letters)).toEqual(['b', 'd'])
    },
    absent: (b) => b.backend.redrive(b.queue, { ids: ['a'] }),
  })

  test('20 dead letters are cleaned, and nothing else is', async () => {
    const b = await bench(factory)
    await kill(b, ['0', '1', '2'])
    await b.publish(['alive'])
    expect(await b.backend.clean(b.queue, { state: 'dead', limit: 2 })).toBe(2)
    expect(await b.backend.clean(b.queue, { state: 'dead' })).toBe(1)
    expect(texts(await b.receive())).toEqual(['alive'])
  })

  test('21 clean removes exactly what it reports, those first that would come first, never what is leased', async () => {
    const b = await bench(factory)
    await b.publish(['0', '1', '2', '3', '4', '5'])
    const held = only(await b.receive({ max: 1 }))
    expect(await b.backend.clean(b.queue, { limit: 2 })).toBe(2)
    expect(await b.backend.counts(b.queue)).toMatchObject({ ready: 3 })
    expect(await b.backend.clean(b.queue)).toBe(3)
    expect(await b.backend.clean(b.queue)).toBe(0)
    expect(await b.settle(held, { as: 'release' })).toBe('settled')
    expect(texts(await b.receive())).toEqual(['0'])
  })

  offered(factory, 'filteredClean', '21 clean by state and age', {
    present: async (b) => {
      await b.publish(['r0', 'r1'])
      await b.publish(['d0', 'd1', 'd2'], { delayMs: 60_000 })
      expect(await b.backend.clean(b.queue, { state: 'delayed', limit: 1 })).toBe(1)
      expect(await b.backend.clean(b.queue, { olderThanMs: 60_000 })).toBe(0)
      expect(await b.backend.clean(b.queue, { state: 'ready', olderThanMs: 0 })).toBe(2)
      expect(await b.backend.clean(b.queue)).toBe(2)
      expect(await b.backend.counts(b.queue)).toMatchObject({ ready: 0, delayed: 0 })
    },
    absent: (b) => b.backend.clean(b.queue, { state: 'delayed' }),
  })

  test('22 a paused queue hands out nothing; what is in flight finishes; resume continues', async () => {
    const b = await bench(factory)
    await b.publish(['0', '1'])
    const held = only(await b.receive({ max: 1 }))
    await b.backend.setPaused(b.queue, true)
    await b.backend.setPaused(b.queue, true)
    expect((await b.backend.counts(b.queue)).paused).toBe(true)
    await b.publish(['2'])
    expect(await b.receive({ waitMs: 100 })).toEqual([])
    expect(await b.settle(held, { as: 'ack' })).toBe('settled')
    const waiting = b.receive({ waitMs: 20_000 })
    await b.backend.setPaused(b.queue, false)
    const got = [...(await waiting), ...(await b.receive())]
    expect(texts(got)).toEqual(['1', '2'])
  })

  test('22 a pause holds within 1 s for one that is already waiting', async () => {
    const b = await bench(factory)
    await judged(async ({ within }) => {
      const waiting = b.receive({ waitMs: 600 })
      const began = performance.now()
      await b.backend.setPaused(b.queue, true)
      within('pausing', performance.now() - began, 1_000)
      await b.publish(['not now'])
      expect(await waiting).toEqual([])
      await b.backend.setPaused(b.queue, false)
      await b.settle(only(await b.receive({ waitMs: 5_000 })), { as: 'ack' })
    })
  })
}
