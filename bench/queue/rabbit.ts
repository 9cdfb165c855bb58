/** RabbitMQ against amqplib by hand, on a queue with the same arguments: in bulk, by receives of 100, standing, and when idle. */
import { interleaved, interleavedAll, type Rounds, type Side } from '../harness/measure.js'
import { comparedTo, printedBeside, type Measured } from '../harness/result.js'
import type { Row } from '../harness/rows.js'
import { HandPeer } from './hand-amqp.js'
import { idleLatency, oursIdle } from './idle.js'
import { assertEmpty, consumeAll, drain, openOurs, publishAll, type Ours } from './ours.js'
import { payloads } from './payload.js'
import type { Servers } from './servers.js'
import { typedQueue } from './typed.js'

const ROUNDS = 7
const MESSAGES = 10_000
const QUEUE = 'bench'
const PUBLISH = { batch: 1_000, flight: 1 }
const RECEIVE = { batch: 100, flight: 2 }
const CONCURRENCY = 200
const BY_HAND = 'amqplib by hand'
const ALIKE = `${BY_HAND}, mandatory and with our properties`
/** What ours has to say of a message: without `mandatory` one whose queue has gone is lost without a word. */
const LIKE_OURS = { mandatory: true, messageId: '0'.repeat(36), priority: 5, type: 'at=1700000000000' }

/** The rows, all alike: ours and the peer on one vhost. */
export function rabbitRows(servers: Servers): Readonly<Record<string, Row>> {
  const on = (compare: (ours: Ours, peer: HandPeer) => Promise<readonly Measured[]>): Row => {
    return async () => {
      const place = await servers.rabbit()
      const ours = await openOurs(place.url)
      await ours.backend.declare(QUEUE)
      const peer = await HandPeer.open(place.url, `${QUEUE}-by-hand`, await place.argumentsOf(QUEUE))
      try {
        return await compare(ours, peer)
      } finally {
        await peer.close()
        await ours.close()
      }
    }
  }
  return {
    rabbitPublish: on(publishMany),
    rabbitReceive: on(receive),
    rabbitConsume: on(consume),
    rabbitIdle: on(idle),
  }
}

async function publishMany(ours: Ours, peer: HandPeer): Promise<readonly Measured[]> {
  const bodies = payloads(MESSAGES)
  const us: Side = async () => {
    const ms = await publishAll(ours, QUEUE, bodies, PUBLISH)
    complete(await ours.queues.cleanQueue(QUEUE))
    return perSecond(ms)
  }
  const them =
    (properties = {}): Side =>
    async () => {
      const ms = await peer.publishAll(bodies, properties)
      complete(await peer.count())
      await peer.empty()
      return perSecond(ms)
    }
  const alike = await interleaved(ROUNDS, us, them(LIKE_OURS))
  return [
    rate('publishMany with confirms', 0.9, await interleaved(ROUNDS, us, them())),
    printedBeside(ALIKE, alike, { name: name('publishMany with confirms, alike'), unit: '/s' }),
  ]
}

async function receive(ours: Ours, peer: HandPeer): Promise<readonly Measured[]> {
  const two = taking(ours, () => drain(ours, QUEUE, MESSAGES, RECEIVE))
  const one = taking(ours, () => drain(ours, QUEUE, MESSAGES, { ...RECEIVE, flight: 1 }))
  const single = await interleaved(ROUNDS, one, byHand(peer))
  return [
    rate('receive and settle by 100, two receivers', 0.9, await interleaved(ROUNDS, two, byHand(peer))),
    printedBeside(BY_HAND, single, { name: name('receive and settle by 100, one receiver'), unit: '/s' }),
  ]
}

async function consume(ours: Ours, peer: HandPeer): Promise<readonly Measured[]> {
  const us = taking(ours, () => consumeAll(ours, typedQueue(QUEUE), MESSAGES, CONCURRENCY))
  return [rate('standing consume, everything on', 1, await interleaved(ROUNDS, us, byHand(peer)))]
}

async function idle(ours: Ours, peer: HandPeer): Promise<readonly Measured[]> {
  const them = { publish: peer.publish.bind(peer), stand: peer.stand.bind(peer) }
  const { p50, p99 } = await interleavedAll(ROUNDS, idleLatency(oursIdle(ours, QUEUE)), idleLatency(them))
  const figure = (what: string): { name: string; unit: string } => ({
    ...{ name: name(`publish to handler start when idle, ${what}`), unit: 'ms' },
  })
  return [
    comparedTo(BY_HAND, p50, { ...figure('p50'), sense: 'at most', bar: 1.3 }),
    printedBeside(BY_HAND, p99, figure('p99')),
  ]
}

function taking(ours: Ours, take: () => Promise<number>): Side {
  const bodies = payloads(MESSAGES)
  return async () => {
    await publishAll(ours, QUEUE, bodies, PUBLISH)
    const ms = await take()
    await assertEmpty(ours, QUEUE)
    return perSecond(ms)
  }
}

function byHand(peer: HandPeer): Side {
  const bodies = payloads(MESSAGES)
  return async () => {
    await peer.publishAll(bodies)
    const ms = await peer.consumeAll(MESSAGES)
    const left = await peer.count()
    if (left > 0) throw new Error(`${left} messages were left`)
    return perSecond(ms)
  }
}

function rate(what: string, bar: number, rounds: Rounds): Measured {
  return comparedTo(BY_HAND, rounds, { name: name(what), unit: '/s', sense: 'at least', bar })
}

function name(what: string): string {
  return `rabbitmq: ${what}`
}

function perSecond(ms: number): number {
  return (MESSAGES / ms) * 1_000
}

function complete(there: number): void {
  if (there !== MESSAGES) throw new Error(`${there} of ${MESSAGES} messages were there`)
}
