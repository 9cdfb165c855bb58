/** Receiving from RabbitMQ on a slow way: what happens between a question and its answer. Each test has a vhost of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openBackend, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

async function open(url: string): Promise<QueueBackend> {
  const backend = await openBackend(url, { namespace: 'n' })
  onTestFinished(() => backend.close())
  return backend
}

/** A backend on a way that can be made slow. */
async function openFar(url: string): Promise<{ backend: QueueBackend; way: TcpProxy }> {
  const way = await tcpProxy(server)
  onTestFinished(() => way.close())
  const backend = await open(url.replace(`${server.host}:${server.port}`, `${way.host}:${way.port}`))
  return { backend, way }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = ({ body }: { readonly body: Uint8Array }): string => new TextDecoder().decode(body)
const receive = (backend: QueueBackend, waitMs: number): Promise<readonly RawDelivery[]> =>
  backend.receive({ queue: 'q', max: 1, waitMs, leaseMs: 60_000 })

test('a pause that arrives while a receive sets itself up holds: nothing wakes it a second time', async () => {
  const url = await server.vhost()
  const { backend, way } = await openFar(url)
  await backend.publish('q', [{ body: bytes('first') }])
  const [first] = await receive(backend, 5_000)
  const other = await open(url)
  way.delay(100) // to and fro: each question of the receive takes longer than the pause
  const waiting = receive(backend, 4_000)
  await other.setPaused('q', true)
  await sleep(1_500)
  await other.publish('q', [{ body: bytes('not now') }])
  expect((await waiting).map(textOf)).toEqual([])
  way.delay(0)
  expect(await backend.settle([{ as: 'ack', receipt: first?.receipt ?? expect.fail() }])).toEqual(['settled'])
})
