/** Bodies that are published as text, on each backend: what comes out are its bytes in UTF-8, and what has none is refused before anything is in. */
import { systemIds } from '@muster/core'
import { openBackend, type QueueBackend } from '@muster/orchestrator'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

const servers: Readonly<Record<string, (() => Promise<QueueServer>) | undefined>> = {
  local: undefined,
  redis: () => startRedis(),
  rabbitmq: () => startRabbit(),
}
const MIB = 2 ** 20
const request = { queue: 'q', max: 100, waitMs: 5_000, leaseMs: 30_000 }

describe.each(Object.entries(servers))('%s', (_, startServer) => {
  let server: QueueServer | undefined
  beforeAll(async () => {
    server = await startServer?.()
  })
  afterAll(() => server?.remove())

  async function start(): Promise<QueueBackend> {
    const backend = await openBackend(server?.url ?? 'local', { namespace: `test-${systemIds.next()}` })
    onTestFinished(() => backend.close())
    return backend
  }

  async function bodies(backend: QueueBackend, count: number): Promise<Uint8Array[]> {
    const found: Uint8Array[] = []
    while (found.length < count) {
      const deliveries = await backend.receive(request)
      if (deliveries.length === 0) throw new Error(`${found.length} of ${count} messages came`)
      found.push(...deliveries.map(({ body }) => body))
      await backend.settle(deliveries.map(({ receipt }) => ({ as: 'ack', receipt })))
    }
    return found
  }

  test('a text arrives as its bytes in UTF-8, beside bytes that are none', async () => {
    const backend = await start()
    const texts = ['', 'plain', 'é', '€ and 漢字', '🐙'.repeat(300), 'a\u0000b\n', 'x'.repeat(MIB)]
    const raw = Buffer.from([0xff, 0x00, 0xc3])
    const outcomes = await backend.publish('q', [...texts.map((body) => ({ body })), { body: raw }])
    expect(outcomes.filter(({ status }) => status !== 'accepted')).toEqual([])
    const expected = [...texts.map((text) => Buffer.from(text)), raw]
    const got = await bodies(backend, expected.length)
    expect(got.map((body, index) => Buffer.compare(body, expected[index] ?? Buffer.of()))).toEqual(
      expected.map(() => 0),
    )
  })

  test('its size is that of its bytes, and half a character is refused, before anything of the batch is in', async () => {
    const backend = await start()
    const fits = '€'.repeat(Math.floor(MIB / 3))
    const tooLarge = backend.publish('q', [{ body: 'first' }, { body: `${fits}€` }])
    await expect(tooLarge).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    const half = backend.publish('q', [{ body: 'first' }, { body: 'half \ud83d' }])
    await expect(half).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', details: { field: 'messages[1].body' } })
    await backend.publish('q', [{ body: fits }])
    const [only] = await bodies(backend, 1)
    expect(only?.length).toBe(Buffer.byteLength(fits))
    expect(await backend.counts('q')).toMatchObject({ ready: 0 })
  })

  test('whoever writes to the bytes of a delivery changes no other delivery of the message, alive or dead', async () => {
    const backend = await start()
    await backend.publish('q', [{ body: 'untouched' }])
    for (const as of ['release', 'dead'] as const) {
      const [delivery] = await backend.receive(request)
      if (delivery === undefined) throw new Error('the message did not come')
      expect(Buffer.from(delivery.body).toString()).toBe('untouched')
      delivery.body.fill(0)
      await backend.settle([{ as, receipt: delivery.receipt, reason: 'enough' }])
    }
    const { letters } = await backend.browseDead('q', { limit: 1 })
    expect(letters.map(({ body }) => Buffer.from(body).toString())).toEqual(['untouched'])
  })
})
