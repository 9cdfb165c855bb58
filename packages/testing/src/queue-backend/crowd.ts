/**
 * The queue items with eight producers and eight consumers side by side (tasks of one process). What a single caller cannot show:
 * that nothing is handed out twice, lost between two callers, or counted for the wrong one.
 */
import type { QueueBackend, RawDelivery, Settlement } from '@muster/orchestrator'
import { expect, test } from 'vitest'
import { bench, bytes, seeded, texts, type Bench, type QueueBackendFactory } from './kit.js'

const CROWD = 8
const PER_PRODUCER = 100
const TOTAL = CROWD * PER_PRODUCER

type Verdict = (delivery: RawDelivery) => Settlement

/** Eight producers, each with batches of random size; messages are named `PRODUCER:NUMBER`. */
async function produce({ backend, queue }: Bench, random: () => number, priority: () => number): Promise<void> {
  const one = async (producer: number): Promise<void> => {
    for (let sent = 0; sent < PER_PRODUCER;) {
      const size = Math.min(1 + Math.floor(random() * 9), PER_PRODUCER - sent)
      const batch = Array.from({ length: size }, (_, n) => ({
        body: bytes(`${producer}:${sent + n}`),
        priority: priority(),
      }))
      const outcomes = await backend.publish(queue, batch)
      expect(outcomes.every(({ status }) => status === 'accepted')).toBe(true)
      sent += size
    }
  }
  await Promise.all(Array.from({ length: CROWD }, (_, producer) => one(producer)))
}

/** Eight consumers until `done`; gives what each saw, in its order. */
async function consume(
  b: Bench,
  random: () => number,
  verdict: Verdict,
  done: () => boolean,
): Promise<RawDelivery[][]> {
  const one = async (): Promise<RawDelivery[]> => {
    const seen: RawDelivery[] = []
    while (!done()) {
      const max = 1 + Math.floor(random() * 20)
      const batch = await b.receive({ max, waitMs: 50 })
      expect(batch.length).toBeLessThanOrEqual(max)
      seen.push(...batch)
      await b.backend.settle(batch.map(verdict))
    }
    return seen
  }
  return Promise.all(Array.from({ length: CROWD }, one))
}

function leftOver(backend: QueueBackend, queue: string): Promise<object> {
  return backend.counts(queue).then(({ ready, dead }) => ({ ready, dead }))
}

/** Proves items 2, 8, 9, 11, 13, 17, 18, 19, 21 and 22 in a crowd. */
export function crowdSection(factory: QueueBackendFactory): void {
  const { priority } = factory.capabilities

  test('crowd: 2 8 11 13 each message is handed out exactly once', async () => {
    const b = await bench(factory)
    let acked = 0
    const ack: Verdict = ({ receipt }) => (acked++, { as: 'ack', receipt })
    const random = seeded(1)
    const [, seen] = await Promise.all([
      produce(b, random, () => (priority ? Math.floor(random() * 10) : 5)),
      consume(b, random, ack, () => acked >= TOTAL),
    ])
    const all = texts(seen.flat())
    expect(all).toHaveLength(TOTAL)
    expect(new Set(all).size).toBe(TOTAL)
    expect(await leftOver(b.backend, b.queue)).toEqual({ ready: 0, dead: 0 })
  })

  test('crowd: 9 each consumer sees each producer in order', async () => {
    const b = await bench(factory)
    let acked = 0
    const random = seeded(2)
    const ack: Verdict = ({ receipt }) => (acked++, { as: 'ack', receipt })
    const [, seen] = await Promise.all([produce(b, random, () => 5), consume(b, random, ack, () => acked >= TOTAL)])
    for (const own of seen.map(texts))
      for (let producer = 0; producer < CROWD; producer++) {
        const numbers = own.filter((text) => text.startsWith(`${producer}:`)).map((text) => Number(text.split(':')[1]))
        expect(numbers).toEqual([...numbers].sort((x, y) => x - y))
      }
  })

  test('crowd: 17 18 19 retries, releases and refusals end as they should', async () => {
    const b = await bench(factory)
    await b.backend.declare(b.queue, { maxTries: 3 })
    const ended = new Map<string, string>()
    const released = new Set<string>()
    const verdict: Verdict = (delivery) => {
      const { id, receipt, tries } = delivery
      const [text = ''] = texts([delivery])
      const kind = Number(text.split(':')[1]) % 4
      if (kind === 0 && !released.has(id)) {
        released.add(id)
        return { as: 'release', receipt }
      }
      if (kind === 1) return (ended.set(id, 'dead'), { as: 'dead', reason: 'no', receipt })
      if (kind === 2) {
        if (tries === 2) ended.set(id, 'max-tries')
        return { as: 'retry', delayMs: tries === 0 ? 5 : 0, receipt }
      }
      expect(tries).toBe(0)
      ended.set(id, 'ack')
      return { as: 'ack', receipt }
    }
    const random = seeded(3)
    await Promise.all([produce(b, random, () => 5), consume(b, random, verdict, () => ended.size >= TOTAL)])
    expect(await leftOver(b.backend, b.queue)).toEqual({ ready: 0, dead: TOTAL / 2 })
    const { letters } = await b.backend.browseDead(b.queue, { limit: TOTAL })
    expect(letters.filter(({ reason, tries }) => reason === 'max-tries' && tries === 3)).toHaveLength(TOTAL / 4)
    expect(letters.filter(({ reason, tries }) => reason === 'rejected' && tries === 0)).toHaveLength(TOTAL / 4)
  })

  test('crowd: 21 22 cleaning and pausing under load: what was published was settled, cleaned, or is still there', async () => {
    const b = await bench(factory)
    let [acked, cleaned, producing] = [0, 0, true]
    const random = seeded(4)
    const disturb = async (): Promise<void> => {
      for (let round = 0; producing || round < 4; round++) {
        await b.backend.setPaused(b.queue, round % 2 === 0)
        cleaned += await b.backend.clean(b.queue, { limit: 5 })
        await new Promise(setImmediate)
      }
      await b.backend.setPaused(b.queue, false)
    }
    const ack: Verdict = ({ receipt }) => (acked++, { as: 'ack', receipt })
    const producers = produce(b, random, () => 5).finally(() => (producing = false))
    const consumers = consume(b, random, ack, () => !producing && acked + cleaned >= TOTAL)
    await Promise.all([producers, consumers, disturb()])
    expect(acked + cleaned).toBe(TOTAL)
    expect(await leftOver(b.backend, b.queue)).toEqual({ ready: 0, dead: 0 })
  })
}
