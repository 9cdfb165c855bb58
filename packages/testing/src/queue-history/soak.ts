/**
 * A steady rate of messages that take every way through a queue (acknowledged, retried, delayed, released, refused and cleaned, left to
 * their lease): conformance item 34. What was held at the beginning, by this process and by the server, is held at the end. Works outside of
 * a test, too.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { systemClock, systemIds } from '@muster/core'
import type { QueueBackend, RawDelivery, Settlement } from '@muster/orchestrator'
import type { QueueBackendFactory } from '../queue-backend/kit.js'

/** What a soak is to be. */
export interface SoakOptions {
  readonly ms: number
  readonly messagesPerSecond: number
}

/** What was held, by kind: bytes of this process's heap, messages, queues, and what the server says of itself. */
export type Holding = Readonly<Record<string, number>>

/** What came out. */
export interface SoakReport {
  readonly published: number
  readonly settled: number
  /** After a warm-up and at rest. */
  readonly before: Holding
  /** At rest again. */
  readonly after: Holding
}

const TICK_MS = 50
const WARM_UP_MS = 1_500
const REST_MS = 20_000
const LEASE_MS = 400

/** Runs one; the backend is opened for it and closed. */
export async function runQueueSoak(factory: QueueBackendFactory, options: SoakOptions): Promise<SoakReport> {
  const backend = await factory.open({ namespace: `soak-${systemIds.next()}`, clock: systemClock })
  try {
    await steady(backend, { ...options, ms: WARM_UP_MS })
    const before = await holding(factory, backend)
    const { published, settled } = await steady(backend, options)
    return { published, settled, before, after: await holding(factory, backend) }
  } finally {
    await backend.close()
  }
}

const QUEUE = 'soak'

/** Publishes at the rate and consumes, until the time is over and everything is gone. */
async function steady(backend: QueueBackend, options: SoakOptions): Promise<{ published: number; settled: number }> {
  const { ms, messagesPerSecond } = options
  let [published, settled, over] = [0, 0, false]
  const consuming = (async () => {
    for (;;) {
      const got = await backend.receive({ queue: QUEUE, max: 100, waitMs: 200, leaseMs: LEASE_MS })
      const outcomes = await backend.settle(got.flatMap(wayOf))
      settled += outcomes.filter((outcome) => outcome === 'settled' || outcome === 'dead').length
      await backend.clean(QUEUE, { state: 'dead' })
      if (over && got.length === 0 && (await atRest(backend))) return
    }
  })()
  const began = performance.now()
  while (performance.now() - began < ms) {
    const due = Math.floor(((performance.now() - began) / 1_000) * messagesPerSecond) - published
    const batch = Array.from({ length: due }, (_, n) => ({
      body: Uint8Array.of((published + n) % 20),
      delayMs: (published + n) % 10 === 0 ? 100 : 0,
    }))
    published += (await backend.publish(QUEUE, batch)).filter(({ status }) => status === 'accepted').length
    await sleep(TICK_MS)
  }
  over = true
  await Promise.race([consuming, late(consuming)])
  return { published, settled }
}

/** What a test of minutes may wait for, but not for ever. */
async function late(consuming: Promise<void>): Promise<never> {
  await sleep(REST_MS, undefined, { ref: false })
  void consuming.catch(() => undefined)
  throw new Error(`the queue has not come to rest within ${REST_MS} ms`)
}

/** One message in twenty is left to its lease, the first time; of the others each takes its way. */
function wayOf({ body, receipt, tries, crashes }: RawDelivery): Settlement[] {
  const [kind = 0] = body
  if (kind === 1 && crashes === 0) return []
  if (kind === 2) return [{ as: 'dead', reason: 'soak', receipt }]
  if ((kind === 3 || kind === 4) && tries === 0) return [{ as: 'retry', delayMs: kind === 3 ? 50 : 0, receipt }]
  return [{ as: 'ack', receipt }]
}

async function atRest(backend: QueueBackend): Promise<boolean> {
  // Where what is leased or delayed cannot be counted, it has had the time to come back.
  await sleep(LEASE_MS + 300)
  const { ready, delayed = 0, leased = 0, dead } = await backend.counts(QUEUE)
  return ready + delayed + leased + dead === 0
}

async function holding(factory: QueueBackendFactory, backend: QueueBackend): Promise<Holding> {
  const { ready, delayed = 0, leased = 0, dead } = await backend.counts(QUEUE)
  const queues = (await backend.list()).length
  const held: Record<string, number> = { messages: ready + delayed + leased + dead, queues, heapBytes: heapBytes() }
  for (const [kind, count] of Object.entries((await factory.server?.holdings?.()) ?? {})) held[`server ${kind}`] = count
  return held
}

/** The heap after everything that nobody needs was collected. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
