/**
 * What the local backend cannot be quicker than, beside p-queue: the copying alone. A message must not change when its publisher goes on
 * writing to the object, nor for one consumer because of another, so each body is copied on its way in and again on its way out,
 * where p-queue passes a reference. These rows copy and do nothing else: no id, no line, no lease, no settlement. The last one is the other
 * half: all of these, for bodies that are nothing.
 */
import type { JsonValue } from '@muster/core'
import type { Context } from '../harness/load.js'
import { interleaved, timed, type Side } from '../harness/measure.js'
import { printedBeside, type Measured } from '../harness/result.js'
import { withPQueue } from './in-process.js'
import { atItsBest, publishedAndTaken } from './local.js'
import { openOurs } from './ours.js'
import { payloads } from './payload.js'

const ROUNDS = 9
const MESSAGES = 50_000
/** As many as a call publishes: what is alive at once is what a queue would have alive. */
const BATCH = 1_000

/** The row. */
export async function localLimit(context: Context, messages = MESSAGES): Promise<readonly Measured[]> {
  const bodies = payloads(messages)
  const pQueue = await atItsBest('p-queue', withPQueue, bodies, context)
  const ways: Readonly<Record<string, (bodies: readonly JsonValue[]) => readonly JsonValue[]>> = {
    'each body written as JSON and parsed again': (batch) =>
      asTexts(batch).map((text) => JSON.parse(text) as JsonValue),
    'each body written as JSON': asTexts,
    'each body copied twice, property by property': (batch) => batch.map(copyOf).map(copyOf),
    'each body copied once, property by property': (batch) => batch.map(copyOf),
  }
  const figures: Measured[] = []
  for (const [name, copy] of Object.entries(ways)) {
    const rounds = await interleaved(ROUNDS, alone(bodies, copy), pQueue.side)
    figures.push(printedBeside(pQueue.name, rounds, { name: `local, the limit: ${name}, nothing else`, unit: '/s' }))
  }
  const ours = await openOurs('local')
  try {
    const empty = publishedAndTaken(
      ours,
      Array.from({ length: messages }, () => null),
    )
    const rounds = await interleaved(ROUNDS, empty, pQueue.side)
    const name = 'local, the limit: publish, receive and settle, each body null'
    return [...figures, printedBeside(pQueue.name, rounds, { name, unit: '/s' })]
  } finally {
    await ours.close()
  }
}

function alone(bodies: readonly JsonValue[], copy: (batch: readonly JsonValue[]) => readonly unknown[]): Side {
  return async () => {
    let copied = 0
    const ms = await timed(async () => {
      for (let at = 0; at < bodies.length; at += BATCH) copied += copy(bodies.slice(at, at + BATCH)).length
    })
    if (copied !== bodies.length) throw new Error(`${copied} of ${bodies.length} bodies were copied`)
    return (bodies.length / ms) * 1_000
  }
}

function asTexts(bodies: readonly JsonValue[]): readonly string[] {
  return bodies.map((body) => JSON.stringify(body))
}

/** The quickest copy found of values that are known to be plain JSON; one that had to check that would be slower. */
function copyOf(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  const copy: { [key: string]: JsonValue } = { ...(value as { readonly [key: string]: JsonValue }) }
  for (const key in copy) {
    const inner = copy[key]
    if (typeof inner === 'object' && inner !== null) copy[key] = copyOf(inner)
  }
  return copy
}
