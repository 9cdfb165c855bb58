/**
 * The peers in this process: p-queue and fastq, each told to do nothing for each payload, and each waiting for every task's end, as
 * ours waits for every settlement. They hold closures and objects, where ours holds bytes under a lease; how many tasks run at
 * once is tried in the run.
 */
import fastq from 'fastq'
import PQueue from 'p-queue'
import type { JsonValue } from '@muster/core'
import { timed } from '../harness/measure.js'

/** Adds a task for each body and waits for the end of each. Gives the milliseconds. */
export type InProcessPeer = (bodies: readonly JsonValue[], concurrency: number) => Promise<number>

/** p-queue: a promise for each task, all of which are awaited. */
export const withPQueue: InProcessPeer = (bodies, concurrency) =>
  timed(async () => {
    const queue = new PQueue({ concurrency })
    let handled = 0
    await Promise.all(
      bodies.map((body) =>
        queue.add(async () => {
          handled += handle(body)
        }),
      ),
    )
    complete(handled, bodies)
  })

/** fastq with promises, its form for async workers. */
export const withFastq: InProcessPeer = (bodies, concurrency) =>
  timed(async () => {
    let handled = 0
    const queue = fastq.promise(async (body: JsonValue) => {
      handled += handle(body)
    }, concurrency)
    await Promise.all(bodies.map((body) => queue.push(body)))
    complete(handled, bodies)
  })

function handle(body: JsonValue): number {
  return body === null ? 0 : 1
}

function complete(handled: number, bodies: readonly JsonValue[]): void {
  if (handled !== bodies.length) throw new Error(`${handled} of ${bodies.length} tasks ran`)
}
