/**
 * Submits, durable when they resolve, against the same rows written by hand. Nobody schedules the record meanwhile. Ours go
 * through everything that a user's submit goes through (`muster.submit(command(…))`).
 */
import { command } from '@muster/sdk'
import { join } from 'node:path'
import type { Context } from '../harness/load.js'
import { interleaved, median, perSecond, type Side } from '../harness/measure.js'
import { comparedTo, type Measured } from '../harness/result.js'
import { handRows, type HandRows } from './hand-rows.js'
import { openHere, recordPath } from './here.js'

const ROUNDS = 9
const SINGLES = 300
const FLIGHT = 200
const FLIGHTS = 20
/** The other way to meet the bar of one at a time: the median submit takes no more than this longer. */
const P50_MORE_MS = 0.25
const JOB = command({ run: ['true'] })
const PEER = 'the same rows by hand, libsql'

/** The third row of the table. */
export async function submits({ scratch }: Context): Promise<readonly Measured[]> {
  const theirs = await peer(join(scratch, 'submits-by-hand'))
  const muster = await openHere(join(scratch, 'submits'), { schedule: false })
  const submit = (): Promise<unknown> => muster.submit(JOB)
  try {
    return [...(await singly(submit, theirs)), await together(submit, theirs)]
  } finally {
    theirs.close()
    await muster.close()
  }
}

async function peer(directory: string): Promise<HandRows> {
  const muster = await openHere(directory, { schedule: false })
  await muster.submit(JOB)
  await muster.close()
  return handRows(recordPath(directory))
}

async function singly(submit: () => Promise<unknown>, theirs: HandRows): Promise<Measured[]> {
  const latencies = { ours: [] as number[], theirs: [] as number[] }
  const side =
    (work: () => unknown, found: number[]): Side =>
    async () => {
      const rate = await perSecond(SINGLES, 1, async () => {
        const start = performance.now()
        await work()
        found.push(performance.now() - start)
      })
      return rate
    }
  const rounds = await interleaved(
    ROUNDS,
    side(submit, latencies.ours),
    side(() => {
      theirs.one()
    }, latencies.theirs),
  )
  const p50 = { ours: median(latencies.ours), theirs: median(latencies.theirs) }
  const more = p50.ours - p50.theirs
  const name = `submit durable, one at a time (or p50 at most ${P50_MORE_MS} ms more: ${more.toFixed(3)})`
  return [comparedTo(PEER, rounds, { name, unit: '/s', sense: 'at least', bar: 0.55, orMet: more <= P50_MORE_MS })]
}

async function together(submit: () => Promise<unknown>, theirs: HandRows): Promise<Measured> {
  const rounds = await interleaved(
    ROUNDS,
    () => perSecond(FLIGHT * FLIGHTS, FLIGHT, submit),
    async () =>
      FLIGHT *
      (await perSecond(FLIGHTS, 1, async () => {
        theirs.group(FLIGHT)
      })),
  )
  const name = `submit durable, ${FLIGHT} in flight`
  return comparedTo(PEER, rounds, { name, unit: '/s', sense: 'at least', bar: 0.6 })
}
