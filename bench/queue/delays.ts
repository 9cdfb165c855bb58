/**
 * How late a delayed message is when nothing else goes on. A delay begins when the backend has the message, which is after the call
 * and before its answer: lateness is counted from the call, which flatters nobody, and so is what would be too early.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../harness/measure.js'
import { absolute, printed, type Measured } from '../harness/result.js'
import { openOurs } from './ours.js'
import { payload } from './payload.js'

const SAMPLES = 300
const QUEUE = 'bench'
/** Whole milliseconds on both sides of a second, and of a minute's worth of rungs where a backend has a ladder. */
const DELAYS_MS = [20, 50, 137, 300, 555, 1_000, 1_500, 2_222, 3_000, 5_000]
/** Between two publishes; prime, so that delays that differ do not fall due together. */
const EVERY_MS = 23

/** The row of one backend, at this address. */
export async function delays(backend: string, url: string): Promise<readonly Measured[]> {
  const ours = await openOurs(url)
  const due: number[] = []
  const late: number[] = []
  let arrived: () => void = () => undefined
  const all = new Promise<void>((resolve) => (arrived = resolve))
  const consumer = ours.queues.consume(
    QUEUE,
    ({ body }) => {
      late.push(performance.now() - (due[(body as { number: number }).number] ?? NaN))
      if (late.length === SAMPLES) arrived()
    },
    { concurrency: 10 },
  )
  try {
    for (let index = 0; index < SAMPLES; index += 1) {
      const delayMs = DELAYS_MS[index % DELAYS_MS.length] ?? NaN
      due.push(performance.now() + delayMs)
      await ours.queues.publish(QUEUE, payload(index), { delayMs })
      await sleep(EVERY_MS)
    }
    await all
  } finally {
    await consumer.close()
    await ours.close()
  }
  const earliest = Math.min(...late)
  if (!(earliest >= 0)) throw new Error(`${backend}: a delayed message was ${-earliest} ms early`)
  const name = (what: string): string => `${backend}: a delayed message when idle is late by, ${what}`
  return [
    absolute(percentile(late, 99), { name: name('p99'), unit: 'ms', sense: 'at most', bar: 50 }),
    printed(percentile(late, 50), { name: name('p50'), unit: 'ms' }),
  ]
}
