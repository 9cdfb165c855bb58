/**
 * The queue items with eight producers and eight consumers side by side: processes where the backend is `shared`, else tasks of one. What a
 * single caller cannot show: that nothing is handed out twice, lost between two callers, or counted for the wrong one.
 */
import type { QueueBackend } from '@muster/orchestrator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bench, crashesFit, freshNamespace, type Bench, type QueueBackendFactory } from './kit.js'
import { Peer } from './peer.js'
import { taskWorker, type ConsumeOrder, type Seen, type Worker } from './work.js'

const CROWD = 8
const PER_PRODUCER = 100
const TOTAL = CROWD * PER_PRODUCER
const EACH = Array.from({ length: CROWD }, (_, n) => n)

interface Members {
  readonly producers: readonly Worker[]
  readonly consumers: readonly Worker[]
}

/** How a crowd is to work, and what runs beside it. */
interface Work {
  readonly seed: number
  readonly mixed?: boolean
  readonly verdict?: ConsumeOrder['verdict']
  /** Runs beside the crowd; gives how many messages it removed. */
  readonly disturb?: (producing: () => boolean) => Promise<number>
}

/** Proves items 2, 8, 9, 11, 13, 17, 18, 19, 21 and 22 in a crowd. */
export function crowdSection(factory: QueueBackendFactory): void {
  const namespace = freshNamespace()
  const peers: Peer[] = []
  beforeAll(async () => {
    const { shared } = factory.capabilities
    if (!shared) return
    const { processes } = factory
    if (processes === undefined) throw new Error('a shared backend has to say how another process opens it')
    peers.push(...(await Promise.all([...EACH, ...EACH].map(() => Peer.start({ ...processes, namespace })))))
  })
  afterAll(async () => {
    await Promise.all(peers.map((peer) => peer.kill()))
  })
  const members = (backend: QueueBackend): Members => {
    const workers = peers.length > 0 ? peers.map(({ worker }) => worker) : Array(2 * CROWD).fill(taskWorker(backend))
    return { producers: workers.slice(0, CROWD), consumers: workers.slice(CROWD) }
  }

  test('crowd: 2 8 11 13 each message is handed out exactly once', async () => {
    const b = await bench(factory, { namespace })
    const seen = await crowd(b, members(b.backend), { seed: 1, mixed: factory.capabilities.priority })
    const all = seen.flat().map(({ text }) => text)
    expect(all).toHaveLength(TOTAL)
    expect(new Set(all).size).toBe(TOTAL)
    expect(await leftOver(b)).toEqual({ ready: 0, dead: 0 })
  })

  test('crowd: 9 each consumer sees each producer in order', async () => {
    const b = await bench(factory, { namespace })
    const seen = await crowd(b, members(b.backend), { seed: 2 })
    expect(seen.flat().every(({ crashes }) => crashesFit(factory, crashes, 0))).toBe(true)
    for (const own of seen)
      for (const producer of EACH) {
        // The order is that of first deliveries, and what counts as crashed is none.
        const first = own.filter(({ crashes }) => crashes === 0)
        const numbers = first.map(({ text }) => text.split(':')).filter(([name]) => Number(name) === producer)
        expect(numbers.map(([, number]) => Number(number))).toEqual(
          numbers.map(([, number]) => Number(number)).sort((x, y) => x - y),
        )
      }
  })

  test('crowd: 17 18 19 retries, releases and refusals end as they should', async () => {
    const b = await bench(factory, { namespace })
    await b.backend.declare(b.queue, { maxTries: 3 })
    const seen = (await crowd(b, members(b.backend), { seed: 3, verdict: 'all' })).flat()
    expect(await leftOver(b)).toEqual({ ready: 0, dead: TOTAL / 2 })
    expect(seen.filter(({ as }) => as === 'ack').map(({ tries }) => tries)).toEqual(Array(TOTAL / 2).fill(0))
    const { letters } = await b.backend.browseDead(b.queue, { limit: TOTAL })
    expect(letters.filter(({ reason, tries }) => reason === 'max-tries' && tries === 3)).toHaveLength(TOTAL / 4)
    expect(letters.filter(({ reason, tries }) => reason === 'rejected' && tries === 0)).toHaveLength(TOTAL / 4)
  })

  test('crowd: 21 22 cleaning and pausing under load: what was published was settled, cleaned, or is still there', async () => {
    const b = await bench(factory, { namespace })
    let cleaned = 0
    const disturb = async (producing: () => boolean): Promise<number> => {
      for (let round = 0; producing() || round < 4; round++) {
        await b.backend.setPaused(b.queue, round % 2 === 0)
        cleaned += await b.backend.clean(b.queue, { limit: 5 })
        await new Promise(setImmediate)
      }
      await b.backend.setPaused(b.queue, false)
      return cleaned
    }
    const seen = (await crowd(b, members(b.backend), { seed: 4, disturb })).flat()
    expect(seen.length + cleaned).toBe(TOTAL)
    expect(await leftOver(b)).toEqual({ ready: 0, dead: 0 })
  })
}

/** All produce and consume until every message has ended; gives what each consumer saw, in its order. */
async function crowd(b: Bench, { producers, consumers }: Members, work: Work): Promise<readonly (readonly Seen[])[]> {
  const { queue } = b
  const { seed, mixed = false, verdict = 'ack', disturb = async () => 0 } = work
  const stop = new AbortController()
  let [ended, producing] = [0, true]
  const end = (count: number): void => {
    ended += count
    if (ended >= TOTAL) stop.abort()
  }
  const consuming = consumers.map((one, n) => one.consume({ queue, verdict, seed: seed * 1_000 + n }, end, stop.signal))
  const produced = producers.map((one, producer) =>
    one.produce({ queue, producer, mixed, count: PER_PRODUCER, seed: seed * 100 + producer }),
  )
  const all = Promise.all(produced).finally(() => (producing = false))
  const [refused] = await Promise.all([all, disturb(() => producing).then(end)])
  expect(refused).toEqual(EACH.map(() => 0))
  return Promise.all(consuming)
}

async function leftOver({ backend, queue }: Bench): Promise<object> {
  const { ready, dead } = await backend.counts(queue)
  return { ready, dead }
}
