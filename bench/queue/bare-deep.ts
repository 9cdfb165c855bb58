/**
 * What depth costs Redis itself: the very commands that our scripts give for a message (a field of a hash, a member of a sorted set; the
 * first of the set, their fields, their removal), sent by hand in pipelines, on keys a million deep against empty ones. Beside the same
 * rows of ours this says how much of the ratio is the server's: its skip lists and hash tables outgrow the processor's caches.
 */
import { Redis, type ChainableCommander } from 'ioredis'
import { systemIds } from '@muster/core'
import type { Context } from '../harness/load.js'
import { interleavedAll, timed, type SideOf } from '../harness/measure.js'
import { printedBeside, type Measured } from '../harness/result.js'
import { inBatches, payload } from './payload.js'

const ROUNDS = 7
const DEPTH = 1_000_000
const MESSAGES = 50_000
const [PUBLISH, TAKE] = [1_000, 250]

/** The row of the server at this address. */
export async function bareDeep(url: string, { log }: Context): Promise<readonly Measured[]> {
  const client = new Redis(url)
  const deep = new BareQueue(client, 'deep')
  try {
    log(`bare Redis: filling keys with ${DEPTH} messages`)
    for (let filled = 0; filled < DEPTH; filled += MESSAGES) await deep.publish()
    const rounds = await interleavedAll(ROUNDS, deep.through, new BareQueue(client, 'empty').through)
    const depth = await client.zcard('deep:ready')
    if (depth !== DEPTH) throw new Error(`${depth} members are there, not ${DEPTH}`)
    const name = (what: string): string => `redis by hand: ${what}, keys ${DEPTH.toLocaleString('en')} deep`
    return [
      printedBeside('the same, empty', rounds.publish, { name: name('HSET and ZADD'), unit: '/s' }),
      printedBeside('the same, empty', rounds.take, { name: name('ZPOPMIN, HMGET and HDEL'), unit: '/s' }),
    ]
  } finally {
    client.disconnect()
  }
}

/** A line and its bodies, without anything that makes a queue of them. */
class BareQueue {
  readonly #client: Redis
  readonly #name: string
  #place = 1_000_000_000_000_000

  constructor(client: Redis, name: string) {
    this.#client = client
    this.#name = name
  }

  readonly through: SideOf<'publish' | 'take'> = async () => {
    const publish = await this.publish()
    const take = await timed(() => this.#take())
    return { publish: (MESSAGES / publish) * 1_000, take: (MESSAGES / take) * 1_000 }
  }

  /** Gives the milliseconds; what is sent is written beforehand. */
  async publish(): Promise<number> {
    const messages = Array.from({ length: MESSAGES }, (_, index) => [systemIds.next(), JSON.stringify(payload(index))])
    const batches = inBatches(messages, PUBLISH).map((batch) =>
      this.#pipeline()
        .hset(`${this.#name}:bodies`, ...batch.flat())
        .zadd(`${this.#name}:ready`, ...batch.flatMap(([id = '']) => [this.#place++, id])),
    )
    return timed(async () => {
      for (const batch of batches) await batch.exec()
    })
  }

  async #take(): Promise<void> {
    for (let taken = 0; taken < MESSAGES; taken += TAKE) {
      const popped = await this.#client.zpopmin(`${this.#name}:ready`, TAKE)
      const ids = popped.filter((_, index) => index % 2 === 0)
      const [bodies] =
        (await this.#pipeline()
          .hmget(`${this.#name}:bodies`, ...ids)
          .exec()) ?? []
      const found = (bodies?.[1] ?? []) as readonly unknown[]
      if (found.length !== TAKE || found.includes(null)) throw new Error(`${this.#name}: bodies are missing`)
      await this.#client.hdel(`${this.#name}:bodies`, ...ids)
    }
  }

  #pipeline(): ChainableCommander {
    return this.#client.pipeline()
  }
}
