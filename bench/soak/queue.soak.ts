/**
 * `npm run soak -- queue [--backend local|redis|redis-cluster|rabbitmq|rabbitmq-quorum] [--seed N] [--ops N] [--minutes N]`: conformance
 * items 33 (10,000 operations under faults unless told otherwise) and 34 (a steady rate, for ten minutes unless told otherwise; 0 leaves
 * it out) at full length.
 */
import { randomInt } from 'node:crypto'
import { MusterError } from '@muster/core'
import { runQueueHistory, runQueueSoak, type QueueBackendFactory } from '@muster/testing/queue-history'
import { holdEngine } from '../../scripts/lib/engine.js'
import type { Program } from '../harness/load.js'
import { only, whole } from './options.js'
import { startSubject } from './queue/backends.js'

const MESSAGES_PER_SECOND = 200
const HEAP_SLACK_BYTES = 4 * 2 ** 20

const queue: Program<void> = async ({ options, log }) => {
  only(options, 'backend', 'seed', 'ops', 'minutes')
  const backend = options['backend'] ?? 'local'
  const seed = whole(options, 'seed', randomInt(2 ** 31))
  const operations = whole(options, 'ops', 10_000)
  const minutes = whole(options, 'minutes', 10)
  const again = `npm run soak -- queue --backend ${backend} --seed ${seed} --ops ${operations}`
  log(`queue: to repeat: ${again}`)
  const release = backend === 'local' ? async () => undefined : await holdEngine(log)
  try {
    const subject = await startSubject(backend)
    try {
      await history(subject.factory, { seed, operations, log })
      if (minutes > 0) await soak(subject.factory, minutes)
    } finally {
      await subject.remove()
    }
  } catch (error) {
    if (error instanceof MusterError) throw error
    throw new Error(`queue on ${backend}, seed ${seed}: ${String(error)}; to repeat: ${again}`, { cause: error })
  } finally {
    await release()
  }
}
export default queue

async function history(
  factory: QueueBackendFactory,
  options: { seed: number; operations: number; log: (text: string) => void },
): Promise<void> {
  const report = await runQueueHistory(factory, options)
  const { lost, duplicates, allowedDuplicates, problems, stories, figures, faults, seed } = report
  console.log(`${factory.name}: lost = ${lost.length}, duplicates = ${duplicates}, seed ${seed}`)
  console.log(JSON.stringify({ operations: report.operations, ...figures, faults, allowedDuplicates }))
  if (lost.length + problems.length > 0 || duplicates > allowedDuplicates) {
    options.log([...problems.slice(0, 30), ...stories].join('\n'))
    throw new Error(`${lost.length} lost, ${duplicates} duplicates, ${problems.length} problems`)
  }
}

async function soak(factory: QueueBackendFactory, minutes: number): Promise<void> {
  const report = await runQueueSoak(factory, { ms: minutes * 60_000, messagesPerSecond: MESSAGES_PER_SECOND })
  console.log(`${factory.name}: ${minutes} minutes`, JSON.stringify(report))
  const { before, after } = report
  const grown = Object.keys(after).filter((kind) => {
    const slack = kind === 'heapBytes' ? HEAP_SLACK_BYTES : 0
    return (after[kind] ?? 0) > (before[kind] ?? 0) + slack
  })
  if (grown.length > 0) throw new Error(`not back to where they began: ${grown.join(', ')}`)
}
