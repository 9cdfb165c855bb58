/** The rows of the table, by backend. One file each; a row that several backends have is one function of its place. */
import { MusterError } from '@muster/core'
import type { Row } from '../harness/rows.js'
import { bareDeep } from './bare-deep.js'
import { bytesEach, deep } from './deep.js'
import { delays } from './delays.js'
import { handDeep } from './hand-deep.js'
import { kill, LEASE_MS } from './kill.js'
import { localLimit } from './local-limit.js'
import { local } from './local.js'
import { redisMemory } from './memory.js'
import { openOurs } from './ours.js'
import { rabbitRows } from './rabbit.js'
import { redisConsume, redisReceive } from './redis-consume.js'
import { redisIdle } from './redis-idle.js'
import { redisPublishMany, redisPublishOne } from './redis-publish.js'
import type { Servers } from './servers.js'

/** The backends that are measured. */
export const BACKENDS = ['local', 'redis', 'rabbitmq'] as const
/** One of them. */
export type Backend = (typeof BACKENDS)[number]
/** Rows by name. A name is used once, whatever the backend, since BENCH_ROWS picks by it. */
export type Rows = Readonly<Record<string, Row>>

/** The rows of one backend, or of all where none is named. Throws INVALID_ARGUMENT for another name. */
export function rowsOf(servers: Servers, backend: string | undefined): Rows {
  const rows = table(servers)
  if (backend === undefined) return Object.assign({}, ...BACKENDS.map((one) => rows[one])) as Rows
  const known = BACKENDS.find((one) => one === backend)
  if (known !== undefined) return rows[known]
  throw new MusterError('INVALID_ARGUMENT', `there is no backend named ${JSON.stringify(backend)}`, {
    hint: `There are: ${BACKENDS.join(', ')}.`,
  })
}

/** All rows. */
export function table(servers: Servers): Readonly<Record<Backend, Rows>> {
  return { local: localRows(), redis: redisRows(servers), rabbitmq: rabbitmqRows(servers) }
}

function localRows(): Rows {
  return {
    local: (context) => local(context),
    localLimit: (context) => localLimit(context),
    localDelays: () => delays('local', 'local'),
    localDeep: (context) => {
      const setup = { backend: 'local', url: 'local', publishBar: 0.7, consumeBar: 0.7 }
      return deep({ ...setup, messages: 50_000, receive: { batch: 250, flight: 1 } }, context)
    },
  }
}

function redisRows(servers: Servers): Rows {
  return {
    redisPublishMany: (context) => redisPublishMany(servers, context),
    redisReceive: (context) => redisReceive(servers, context),
    redisConsume: (context) => redisConsume(servers, context),
    redisPublishOne: () => redisPublishOne(servers),
    redisIdle: () => redisIdle(servers),
    redisDelays: async () => delays('redis', (await servers.redis()).url),
    redisDeep: async (context) => {
      const { url, usedMemory } = await servers.redis()
      const before = await usedMemory()
      const atDepth = async (depth: number): Promise<ReturnType<typeof bytesEach>> =>
        bytesEach((await usedMemory()) - before, depth, `redis: memory of a waiting message, of ${depth}`)
      const setup = { backend: 'redis', url, publishBar: 0.7, consumeBar: 0.7, atDepth }
      return deep({ ...setup, messages: 50_000, receive: { batch: 250, flight: 2 } }, context)
    },
    redisDeepByHand: async (context) => bareDeep((await servers.redis()).url, context),
    redisMemory: () => redisMemory(servers),
    redisKill: async () => kill('redis', (await servers.redis()).url, LEASE_MS + 1_000),
  }
}

function rabbitmqRows(servers: Servers): Rows {
  return {
    ...rabbitRows(servers),
    rabbitDelays: async () => delays('rabbitmq', (await servers.rabbit()).url),
    rabbitDeep: async (context) => {
      const { url } = await servers.rabbit()
      const setup = { backend: 'rabbitmq', url, publishBar: 0.7, consumeBar: 0.5 }
      return deep({ ...setup, messages: 20_000, receive: { batch: 100, flight: 2 } }, context)
    },
    rabbitDeepByHand: async (context) => {
      const { url, argumentsOf } = await servers.rabbit()
      const ours = await openOurs(url)
      await ours.backend.declare('deep')
      await ours.close()
      return handDeep(url, await argumentsOf('deep'), context)
    },
    rabbitKill: async () => kill('rabbitmq', (await servers.rabbit()).url, 1_000),
  }
}
