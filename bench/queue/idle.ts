/** From the call of publish to the start of the handler in the same process, with nothing else going on. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonValue } from '@muster/core'
import { percentile, type SideOf } from '../harness/measure.js'
import type { Ours } from './ours.js'
import { payload } from './payload.js'

/** A standing consumer. */
export interface Standing {
  close(): Promise<void>
}

/** What is needed to measure one side. */
export interface Way {
  publish(body: JsonValue): Promise<unknown>
  /** Stands when this resolves, or soon after: the first messages of a round are not counted. */
  stand(handler: (body: JsonValue) => void): Promise<Standing>
}

const SAMPLES = 200
const FIRST = 10
/** Long enough for the handler's end to be settled and the consumer to wait again. */
const PAUSE_MS = 6

/** Milliseconds from publish to handler: p50 and p99 of a round. */
export function idleLatency(way: Way): SideOf<'p50' | 'p99'> {
  return async () => {
    let began: (at: number) => void = () => undefined
    const consumer = await way.stand(() => began(performance.now()))
    const samples: number[] = []
    try {
      for (let index = 0; index < FIRST + SAMPLES; index += 1) {
        const handled = new Promise<number>((resolve) => (began = resolve))
        const start = performance.now()
        await way.publish(payload(index))
        const ms = (await handled) - start
        if (index >= FIRST) samples.push(ms)
        await sleep(PAUSE_MS)
      }
    } finally {
      await consumer.close()
    }
    return { p50: percentile(samples, 50), p99: percentile(samples, 99) }
  }
}

/** Our publish and `consume`. */
export function oursIdle({ queues }: Ours, queue: string): Way {
  return {
    publish: (body) => queues.publish(queue, body),
    stand: async (handler) => queues.consume(queue, ({ body }) => handler(body), { concurrency: 10 }),
  }
}
