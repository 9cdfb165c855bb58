/**
 * A queue a million deep against an empty one, on the same backend: messages are published behind the million and taken from before
 * it, so that the depth stays what it is. A round publishes, then takes; the peer does the same on a queue with nothing else in it.
 */
import type { Context } from '../harness/load.js'
import { interleavedAll, type SideOf } from '../harness/measure.js'
import { comparedTo, printed, type Measured } from '../harness/result.js'
import { drain, openOurs, publishAll, type Ours, type Pace } from './ours.js'
import { payloads } from './payload.js'

const ROUNDS = 7
const DEPTH = 1_000_000
const FILL_STEP = 50_000
const PUBLISH: Pace = { batch: 1_000, flight: 1 }

/** What the bars of one backend are, and how it is used. */
export interface DeepSetup {
  readonly backend: string
  readonly url: string
  readonly publishBar: number
  readonly consumeBar: number
  readonly messages: number
  readonly receive: Pace
  /** Asked when the queue is deep; a figure to be printed. */
  readonly atDepth?: (depth: number) => Promise<Measured>
}

/** The row of one backend. */
export async function deep(setup: DeepSetup, { log }: Context): Promise<readonly Measured[]> {
  const { backend, url, publishBar, consumeBar } = setup
  const ours = await openOurs(url)
  try {
    log(`${backend}: filling a queue with ${DEPTH} messages`)
    await fill(ours, 'deep')
    const beside = setup.atDepth ? [await setup.atDepth(DEPTH)] : []
    const rounds = await interleavedAll(ROUNDS, through(ours, 'deep', setup), through(ours, 'empty', setup))
    const { ready } = await ours.backend.counts('deep')
    if (ready !== DEPTH) throw new Error(`${backend}: ${ready} messages wait, not ${DEPTH}`)
    const name = (what: string): string => `${backend}: ${what}, a queue ${DEPTH.toLocaleString('en')} deep`
    const bar = { unit: '/s', sense: 'at least' } as const
    return [
      comparedTo('the same, empty', rounds.publish, { ...bar, name: name('publishMany'), bar: publishBar }),
      comparedTo('the same, empty', rounds.take, { ...bar, name: name('receive and settle'), bar: consumeBar }),
      ...beside,
    ]
  } finally {
    await ours.close()
  }
}

/** Bytes of memory that a waiting message takes on a server, by its own account. */
export function bytesEach(used: number, messages: number, name: string): Measured {
  return printed(used / messages, { name, unit: 'B' })
}

async function fill(ours: Ours, queue: string): Promise<void> {
  const bodies = payloads(FILL_STEP)
  for (let filled = 0; filled < DEPTH; filled += FILL_STEP)
    await publishAll(ours, queue, bodies, { batch: 1_000, flight: 2 })
}

function through(ours: Ours, queue: string, { messages, receive }: DeepSetup): SideOf<'publish' | 'take'> {
  const bodies = payloads(messages)
  return async () => {
    const publish = await publishAll(ours, queue, bodies, PUBLISH)
    const take = await drain(ours, queue, messages, receive)
    return { publish: (messages / publish) * 1_000, take: (messages / take) * 1_000 }
  }
}
