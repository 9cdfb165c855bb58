/** Conformance item 34, scaled: a steady rate for some seconds, after which nothing is held that was not held before. */
import { expect, test } from 'vitest'
import { runQueueSoak } from '../queue-history/soak.js'
import type { QueueBackendFactory } from './kit.js'

const SOAK_MS = 5_000
const MESSAGES_PER_SECOND = 400
/** What a heap may differ by and still be the same. A kilobyte kept of each message would be half as much again. */
const HEAP_SLACK_BYTES = 1.5 * 2 ** 20

/** Proves item 34. */
export function soakSection(factory: QueueBackendFactory): void {
  test(`34 ${SOAK_MS / 1_000} s at ${MESSAGES_PER_SECOND} messages a second: memory, keys and queues return to where they began`, async () => {
    const report = await runQueueSoak(factory, { ms: SOAK_MS, messagesPerSecond: MESSAGES_PER_SECOND })
    const { before, after, published, settled } = report
    console.info(`soak of ${factory.name}:`, JSON.stringify(report))
    expect(published).toBeGreaterThan((SOAK_MS / 1_000) * MESSAGES_PER_SECOND * 0.8)
    expect(settled).toBeGreaterThanOrEqual(published)
    const { heapBytes: heapBefore = 0, ...heldBefore } = before
    const { heapBytes: heapAfter = Infinity, ...heldAfter } = after
    // Less is no leak: what earlier tests left on the server may run out meanwhile.
    expect(Object.entries(heldAfter).filter(([kind, count]) => count > (heldBefore[kind] ?? 0))).toEqual([])
    expect(after).toMatchObject({ messages: 0 })
    expect(heapAfter - heapBefore).toBeLessThan(HEAP_SLACK_BYTES)
  }, 60_000)
}
