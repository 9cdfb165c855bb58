/**
 * The server behind a backend, and the way to it, as they fail: items 1, 10, 22, 25, 28-30. Invariant: whoever asks again after
 * an error that says so is served when the server is back, by the backend that was opened before.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MusterError } from '@muster/core'
import type { QueueBackend } from '@muster/orchestrator'
import { expect, onTestFinished, test } from 'vitest'
import { tcpProxy, type TcpProxy } from '../faults/tcp-proxy.js'
import {
  bench,
  bytes,
  only,
  startPeer,
  texts,
  type Bench,
  type HarmableServer,
  type QueueBackendFactory,
} from './kit.js'

/** How soon a connection that is open but dead is noticed: three heartbeats of 5 s, and half a second. */
const NOTICED_MS = 15_500
const CUTS = 100
/** Longer than a command may take, and than the leases of the load; shorter than it takes to give a connection up for dead. */
const HUNG_MS = 6_000

/** Asks until it is answered: an error that says that asking again can help is asked again. */
export async function persist<T>(ask: () => Promise<T>, patienceMs = 40_000): Promise<T> {
  const until = performance.now() + patienceMs
  for (;;)
    try {
      return await ask()
    } catch (error) {
      if (!passes(error) || performance.now() > until) throw error
      await sleep(20)
    }
}

/** Whether an error says that asking again can help; one of another process has only its code. */
function passes(error: unknown): boolean {
  if (error instanceof MusterError) return error.retryable
  return error instanceof Error && 'code' in error && error.code === 'BACKEND_UNAVAILABLE'
}

/** Producers and consumers that go on over every outage, and what they know of each message. */
class Load {
  readonly #b: Bench
  readonly #stop = new AbortController()
  readonly #work: Promise<unknown>
  #published = 0
  readonly accepted = new Set<string>()
  /** How often each was acknowledged and the backend said that it is settled. */
  readonly acked = new Map<string, number>()

  constructor(b: Bench) {
    this.#b = b
    this.#work = Promise.all([this.#produce(), this.#produce(), this.#consume(), this.#consume()])
  }

  get duplicates(): number {
    return [...this.acked.values()].reduce((sum, times) => sum + times - 1, 0)
  }

  get lost(): string[] {
    return [...this.accepted].filter((id) => !this.acked.has(id))
  }

  /** Resolves when what is published from now on has come through. */
  async through(): Promise<void> {
    const from = this.#published
    const fresh = (): boolean => [...this.acked.keys()].some((id) => Number(id.split(' ')[1]) > from)
    await expect.poll(fresh, { timeout: 40_000, interval: 50 }).toBe(true)
  }

  /** Ends the producers at once, and the consumers when all that was accepted has come. */
  async end(): Promise<void> {
    this.#stop.abort()
    await expect.poll(() => this.lost, { timeout: 40_000, interval: 50 }).toEqual([])
    await this.#work
  }

  /** Ends all, wherever it is: for a test that has failed. */
  async giveUp(): Promise<void> {
    this.#stop.abort()
    this.accepted.clear()
    await this.#work
  }

  async #produce(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const batch = Array.from({ length: 5 }, () => ({ id: `m ${++this.#published}`, body: bytes('x') }))
      // Whether a publish that failed is in, nobody knows: it counts neither way.
      const outcomes = await this.#b.backend.publish(this.#b.queue, batch).catch((error: unknown) => {
        if (!passes(error)) throw error
        return []
      })
      for (const { id, status } of outcomes) if (status === 'accepted') this.accepted.add(id)
      await sleep(5)
    }
  }

  async #consume(): Promise<void> {
    while (!this.#stop.signal.aborted || this.lost.length > 0) {
      const got = await persist(() => this.#b.receive({ max: 20, waitMs: 200, leaseMs: 2_000 }))
      const outcomes = await persist(() => this.#b.backend.settle(got.map(({ receipt }) => ({ as: 'ack', receipt }))))
      got.forEach(({ id }, at) => {
        if (outcomes[at] === 'settled' || outcomes[at] === 'unconfirmed')
          this.acked.set(id, (this.acked.get(id) ?? 0) + 1)
      })
    }
  }
}

/** Proves items 1, 10, 22, 25, 28, 29 and 30 against the server that the factory lends. */
export function outageSection(factory: QueueBackendFactory, server: HarmableServer): void {
  const { dedup, atomicMove, frozenHolderBoundMs } = factory.capabilities

  test('1 6 10 22 29 the server is killed, and restarted, under load: nothing is lost, all goes on by itself', async () => {
    const b = await bench(factory)
    const load = new Load(b)
    onTestFinished(() => load.giveUp())
    await load.through()
    await b.backend.declare('limited', { limit: 1 })
    await b.backend.setPaused('paused', true)
    const delayedSince = performance.now()
    await b.backend.publish('delayed', [{ body: bytes('later'), delayMs: 4_000 }])
    const outcomes = await b.backend.publish('quiet', texts20())
    await server.kill()
    expect(outcomes.every(({ status }) => status === 'accepted')).toBe(true)
    await server.start()
    await load.through()
    expect(texts(await persist(() => b.receive({ queue: 'quiet', waitMs: 5_000 })))).toEqual(numbers20())
    const delayed = only(await persist(() => b.receive({ queue: 'delayed', waitMs: 20_000 })))
    expect(performance.now() - delayedSince).toBeGreaterThanOrEqual(4_000)
    expect(texts([delayed])).toEqual(['later'])
    expect((await persist(() => b.backend.counts('paused'))).paused).toBe(true)
    await server.stop()
    await server.start()
    await load.through()
    const limited = await persist(() => b.backend.publish('limited', [{ body: bytes('1') }]))
    const refused = await persist(() => b.backend.publish('limited', [{ body: bytes('2') }]))
    expect([...limited, ...refused].map(({ status }) => status)).toEqual(['accepted', 'failed'])
    await load.end()
    console.info(`${factory.name}: 2 restarts, ${load.accepted.size} accepted, 0 lost, ${load.duplicates} duplicates`)
    expect(load.duplicates).toBeLessThanOrEqual(dedup && atomicMove ? 0 : 2 * WINDOW)
  }, 150_000)

  test(`29 the server hangs for ${HUNG_MS} ms under load: nothing is lost, and all goes on by itself`, async () => {
    const b = await bench(factory)
    const load = new Load(b)
    onTestFinished(() => load.giveUp())
    await load.through()
    await server.pause()
    onTestFinished(() => server.unpause().catch(() => undefined)) // where it is not frozen any more
    await sleep(HUNG_MS)
    await server.unpause()
    await load.through()
    await load.end()
    console.info(
      `${factory.name}: a server that hung, ${load.accepted.size} accepted, 0 lost, ${load.duplicates} duplicates`,
    )
    expect(load.duplicates).toBeLessThanOrEqual(dedup && atomicMove ? 0 : WINDOW)
  }, 90_000)

  test('23 25 28 a frozen holder loses what it held, a dead connection is noticed, and work goes on', async () => {
    const proxy = await proxyTo(server)
    await Promise.all([frozen(factory, frozenHolderBoundMs), stranded(factory, server.proxied(proxy), proxy)])
  }, 90_000)

  test(`30 ${CUTS} disconnects in a row leak no socket, timer or listener`, async () => {
    const proxy = await proxyTo(server)
    const { config } = server.proxied(proxy)
    const b = await bench(factory)
    const peer = await startPeer(factory, { namespace: b.namespace, config })
    const round = async (): Promise<void> => {
      await persist(() => peer.call('publish', b.queue, [{ text: 'x' }]))
      const got = await persist(() => peer.call('receive', { queue: b.queue, max: 10, waitMs: 5_000, leaseMs: 60_000 }))
      await peer.call('ack', ...got.map(({ key }) => key))
    }
    for (let n = 0; n < 3; n++) await round()
    const before = { ...(await peer.call('resources')), connections: proxy.connections }
    for (let n = 0; n < CUTS; n++) {
      proxy.cut()
      await persist(() => peer.call('counts', b.queue))
      if (n % 10 === 0) await round()
    }
    await round()
    // What a broken connection leaves behind for a moment (a timer to redial) may end first.
    await expect
      .poll(async () => exceeds({ ...(await peer.call('resources')), connections: proxy.connections }, before), {
        timeout: 20_000,
        interval: 200,
      })
      .toEqual([])
  }, 120_000)
}

/** What may come twice at one outage: what two consumers held, and what was being published. */
const WINDOW = 2 * 20 + 2 * 5
const numbers20 = (): string[] => Array.from({ length: 20 }, (_, n) => String(n))
const texts20 = (): { body: Uint8Array }[] => numbers20().map((text) => ({ body: bytes(text) }))

async function proxyTo(server: HarmableServer): Promise<TcpProxy> {
  const proxy = await tcpProxy({ host: server.host, port: server.port })
  onTestFinished(() => proxy.close())
  return proxy
}

/** The kinds of which there are more than before, with both numbers. */
function exceeds(now: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>): string[] {
  return Object.entries(now)
    .filter(([kind, count]) => count > (before[kind] ?? 0))
    .map(([kind, count]) => `${kind}: ${before[kind] ?? 0} -> ${count}`)
}

/** A consumer under SIGSTOP past its lease: its message comes to another in time, and when it goes on it is refused. */
async function frozen(factory: QueueBackendFactory, frozenHolderBoundMs: number): Promise<void> {
  const b = await bench(factory)
  const leaseMs = 1_000
  const peer = await startPeer(factory, { namespace: b.namespace })
  await b.publish(['a'])
  const { key } = only(await peer.call('receive', { queue: b.queue, max: 1, waitMs: 5_000, leaseMs }))
  const began = performance.now()
  peer.signal('SIGSTOP')
  const again = only(await b.receive({ waitMs: 60_000 }))
  const ms = performance.now() - began
  expect(again).toMatchObject({ crashes: 1, tries: 0 })
  expect(ms).toBeLessThan(Math.max(leaseMs, frozenHolderBoundMs) + 1_500)
  peer.signal('SIGCONT')
  expect(await persist(() => peer.call('ack', key))).toEqual(['lease-lost'])
  expect(await persist(() => peer.call('extend', key, 1_000))).toEqual(['lease-lost'])
  expect(await b.settle(again, { as: 'ack' })).toBe('settled')
}

/** A backend whose connections stay open and carry nothing any more. */
async function stranded(
  factory: QueueBackendFactory,
  through: { open: QueueBackendFactory['open'] },
  proxy: TcpProxy,
): Promise<void> {
  const b = await bench(through)
  const direct = await bench(factory, { namespace: b.namespace })
  const idle = b.receive({ waitMs: 60_000 })
  await direct.backend.publish(b.queue, [{ body: bytes('before') }])
  expect(await b.settle(only(await idle), { as: 'ack' })).toBe('settled')
  const waiting = persist(() => b.receive({ max: 1, waitMs: 60_000 }))
  proxy.strand()
  const began = performance.now()
  await direct.backend.publish(b.queue, [{ body: bytes('to be received') }])
  const publishing = persist(() => publishOne(b.backend, 'published'))
  const got = only(await waiting)
  await publishing
  expect(performance.now() - began).toBeLessThan(NOTICED_MS + 1_000)
  const second = texts([got])[0] === 'published' ? 'to be received' : 'published'
  expect(texts(await persist(() => b.receive({ max: 1, waitMs: 20_000 })))).toEqual([second])

  async function publishOne(backend: QueueBackend, text: string): Promise<void> {
    const [outcome] = await backend.publish(b.queue, [{ body: bytes(text) }])
    if (outcome?.status === 'failed') throw outcome.error
  }
}
