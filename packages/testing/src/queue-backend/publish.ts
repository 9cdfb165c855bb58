/** Conformance items 1-6: what publish promises. */
import { expect, test } from 'vitest'
import { bench, bytes, offered, only, texts, type QueueBackendFactory } from './kit.js'

/** Proves items 1-6. */
export function publishSection(factory: QueueBackendFactory): void {
  test('0 the opened backend declares what its factory says', async () => {
    const { backend } = await bench(factory)
    expect(backend.capabilities).toEqual(factory.capabilities)
  })

  test('1 publish resolves when the message is held: the next look finds it', async () => {
    const b = await bench(factory)
    const [id] = await b.publish(['a'])
    expect(only(await b.receive())).toMatchObject({ id, priority: 5, tries: 0, crashes: 0 })
  })

  test('2 publishMany keeps the order, and every message is in', async () => {
    const b = await bench(factory)
    const bodies = Array.from({ length: 500 }, (_, n) => `m${n}`)
    const ids = await b.publish(bodies)
    const deliveries = await b.receive()
    expect(texts(deliveries)).toEqual(bodies)
    expect(deliveries.map(({ id }) => id)).toEqual(ids)
  })

  test('2 each failure is reported by its index, and the others are in', async () => {
    const b = await bench(factory)
    await b.backend.declare(b.queue, { limit: 3 })
    const outcomes = await b.backend.publish(
      b.queue,
      'abcde'.split('').map((text) => ({ body: bytes(text) })),
    )
    const accepted = outcomes.filter(({ status }) => status === 'accepted').map(({ id }) => id)
    expect(outcomes[0]?.status).toBe('accepted')
    expect((await b.receive()).map(({ id }) => id)).toEqual(accepted)
  })

  test('2 an empty batch is no error', async () => {
    const b = await bench(factory)
    expect(await b.backend.publish(b.queue, [])).toEqual([])
    expect(await b.backend.settle([])).toEqual([])
    expect(await b.backend.extend([])).toEqual([])
  })

  test('3 any bytes up to 1 MiB come back identical', async () => {
    const b = await bench(factory)
    const every = Uint8Array.from({ length: 512 }, (_, n) => n & 255)
    const largest = Uint8Array.from({ length: 2 ** 20 }, (_, n) => (n * 31) & 255)
    const bodies = [new Uint8Array(), every, Uint8Array.of(0xff, 0xfe, 0, 0xc3, 0x28), largest]
    await b.backend.publish(
      b.queue,
      bodies.map((body) => ({ body })),
    )
    const got = await b.receive()
    expect(
      got.map(({ body }) => Buffer.compare(body, bodies[got.findIndex((d) => d.body === body)] ?? bytes('?'))),
    ).toEqual([0, 0, 0, 0])
  })

  test('3 the body is a copy, on its way in and on its way out', async () => {
    const b = await bench(factory)
    const body = bytes('before')
    await b.backend.publish(b.queue, [{ body }])
    body.fill(0)
    const first = only(await b.receive())
    expect(texts([first])).toEqual(['before'])
    first.body.fill(0)
    await b.settle(first, { as: 'release' })
    expect(texts(await b.receive())).toEqual(['before'])
  })

  test('3 above 1 MiB a typed error, and nothing of the batch is published', async () => {
    const b = await bench(factory)
    const batch = [{ body: bytes('small') }, { body: new Uint8Array(2 ** 20 + 1) }]
    await expect(b.backend.publish(b.queue, batch)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(await b.receive()).toEqual([])
  })

  test('4 ids are unique and sortable; an id of the caller is taken', async () => {
    const b = await bench(factory)
    const ids = await b.publish(Array.from({ length: 300 }, (_, n) => String(n)))
    expect(new Set(ids).size).toBe(300)
    expect([...ids].sort()).toEqual(ids)
    expect(await b.publish(['mine'], { id: 'order 7 / ü' })).toEqual(['order 7 / ü'])
  })

  if (factory.capabilities.dedup)
    test('4 publishing an id that is present, wherever it is, changes nothing and says so', async () => {
      const b = await bench(factory)
      const again = async (): Promise<void> => {
        const outcomes = await b.backend.publish(b.queue, [{ id: 'x', body: bytes('second'), priority: 9 }])
        expect(outcomes).toEqual([{ status: 'duplicate', id: 'x' }])
      }
      await b.publish(['first'], { id: 'x', delayMs: 30 })
      await again() // delayed
      const held = only(await b.receive({ waitMs: 2_000 }))
      await again() // leased
      await b.settle(held, { as: 'release' })
      await again() // ready
      const last = only(await b.receive())
      expect(texts([last])).toEqual(['first'])
      await b.settle(last, { as: 'dead', reason: 'enough' })
      await again() // dead
      await b.backend.clean(b.queue, { state: 'dead' })
      await b.publish(['third'], { id: 'x' })
      expect(texts(await b.receive())).toEqual(['third'])
    })

  if (!factory.capabilities.dedup)
    test('4 [dedup absent: publishing an id that is present gives a second message]', async () => {
      const b = await bench(factory)
      await b.publish(['first'], { id: 'x' })
      await b.publish(['second'], { id: 'x' })
      expect(texts(await b.receive())).toEqual(['first', 'second'])
    })

  test('4 the same id twice in one batch: both answers tell the truth', async () => {
    const b = await bench(factory)
    const twice = [
      { id: 'x', body: bytes('1') },
      { id: 'x', body: bytes('2') },
    ]
    const outcomes = await b.backend.publish(b.queue, twice)
    const accepted = outcomes.filter(({ status }) => status === 'accepted').length
    expect(await b.receive()).toHaveLength(accepted)
    if (factory.capabilities.dedup) expect(accepted).toBe(1)
  })

  test.each([-1, 10, 255, 1.5, NaN])('5 priority %d throws, and nothing is published', async (priority) => {
    const b = await bench(factory)
    const batch = [{ body: bytes('fine') }, { body: bytes('wrong'), priority }]
    await expect(b.backend.publish(b.queue, batch)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await b.receive()).toEqual([])
  })

  test('6 at its limit a queue refuses with a typed, retryable error, and drops nothing that it took', async () => {
    const b = await bench(factory)
    await b.backend.declare(b.queue, { limit: 5 })
    const ids = await b.publish(['1', '2', '3', '4', '5'])
    const [outcome] = await b.backend.publish(b.queue, [{ body: bytes('6') }])
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'QUEUE_FULL', retryable: true } })
    const [first, ...rest] = await b.receive()
    expect([first, ...rest].map((delivery) => delivery?.id)).toEqual(ids)
    // A retry and a release are never refused, even when others have taken the room meanwhile.
    await b.publish(['7', '8', '9', '10', '11'])
    if (first) expect(await b.settle(first, { as: 'retry', delayMs: 0 })).toBe('settled')
    for (const delivery of rest) expect(await b.settle(delivery, { as: 'release' })).toBe('settled')
    expect(await b.receive()).toHaveLength(10)
  })

  if (factory.capabilities.exactCounts)
    test('6 the limit counts delayed messages', async () => {
      const b = await bench(factory)
      await b.backend.declare(b.queue, { limit: 2 })
      await b.publish(['1', '2'], { delayMs: 60_000 })
      const [outcome] = await b.backend.publish(b.queue, [{ body: bytes('3') }])
      expect(outcome?.status).toBe('failed')
    })

  offered(factory, 'priority', '5 every priority from 0 to 9 is taken', {
    present: async (b) => {
      for (let priority = 0; priority <= 9; priority++) await b.publish([`p${priority}`], { priority })
      expect((await b.receive()).map(({ priority }) => priority)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    },
    absent: (b) => b.backend.publish(b.queue, [{ body: bytes('a'), priority: 9 }]),
  })
}
