/**
 * What depth costs RabbitMQ itself: amqplib by hand on a queue a million deep against an empty one, both with the arguments of ours. Beside
 * the same rows of ours this says how much of the ratio is the server's, which reads what lies deep from its disk.
 */
import type { Context } from '../harness/load.js'
import { interleavedAll, type SideOf } from '../harness/measure.js'
import { printedBeside, type Measured } from '../harness/result.js'
import { HandPeer } from './hand-amqp.js'
import { payloads } from './payload.js'
import type { QueueArguments } from './servers.js'

const ROUNDS = 7
const DEPTH = 1_000_000
const FILL_STEP = 50_000
const MESSAGES = 20_000

/** The row of the server at this address. */
export async function handDeep(
  url: string,
  queueArguments: QueueArguments,
  { log }: Context,
): Promise<readonly Measured[]> {
  const deep = await HandPeer.open(url, 'deep-by-hand', queueArguments)
  const empty = await HandPeer.open(url, 'empty-by-hand', queueArguments)
  try {
    log(`rabbitmq by hand: filling a queue with ${DEPTH} messages`)
    const step = payloads(FILL_STEP)
    for (let filled = 0; filled < DEPTH; filled += FILL_STEP) await deep.publishAll(step)
    const rounds = await interleavedAll(ROUNDS, through(deep), through(empty))
    const left = await deep.count()
    if (left !== DEPTH) throw new Error(`${left} messages wait, not ${DEPTH}`)
    const name = (what: string): string => `rabbitmq by hand: ${what}, a queue ${DEPTH.toLocaleString('en')} deep`
    return [
      printedBeside('the same, empty', rounds.publish, { name: name('publish'), unit: '/s' }),
      printedBeside('the same, empty', rounds.take, { name: name('consume'), unit: '/s' }),
    ]
  } finally {
    await deep.close()
    await empty.close()
  }
}

function through(peer: HandPeer): SideOf<'publish' | 'take'> {
  const bodies = payloads(MESSAGES)
  return async () => {
    const publish = await peer.publishAll(bodies)
    const take = await peer.consumeAll(MESSAGES)
    return { publish: (MESSAGES / publish) * 1_000, take: (MESSAGES / take) * 1_000 }
  }
}
