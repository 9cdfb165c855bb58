/**
 * The one Redis and the one RabbitMQ of a run, each started when a row first asks for it. Invariant: ours and the peer reach it in
 * the same way, at the address of its container (the published port goes through a proxy, which would cost both sides the same
 * again), a row finds it empty, and how durable it is stands in the environment.
 */
import type { QueueServer, RabbitServer } from '@muster/testing/servers'
import { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../harness/load.js'

/**
 * As BullMQ's documentation asks for production: every write in the log, synced each second, nothing evicted. The log is not
 * rewritten while a row runs, but between rows.
 */
const REDIS_CONFIG = [
  ...['appendonly yes', 'appendfsync everysec', 'save ""', 'maxmemory-policy noeviction'],
  'auto-aof-rewrite-percentage 0',
]
const REDIS_SHOWN = [
  'appendonly',
  'appendfsync',
  'save',
  'maxmemory',
  'maxmemory-policy',
  'auto-aof-rewrite-percentage',
]
/** As RabbitMQ comes: a million messages do not fit in the small limit that suits tests. */
const RABBIT_CONFIG = ['{vm_memory_high_watermark, {relative, 0.4}}']

/** The arguments that a queue of RabbitMQ was declared with, as a client gives them. */
export type QueueArguments = Readonly<Record<string, string | number | boolean>>

/** A Redis without any data. */
export interface RedisPlace {
  readonly url: string
  /** Bytes that its data takes, by its own account. */
  usedMemory(): Promise<number>
  /** Removes all that is there. */
  flush(): Promise<void>
}

/** A vhost that nobody has used. */
export interface RabbitPlace {
  readonly url: string
  /** With what arguments ours declared the queue. Throws where there is no such queue. */
  argumentsOf(queue: string): Promise<QueueArguments>
}

/** The servers of a run. */
export interface Servers {
  /** The Redis, emptied. */
  redis(): Promise<RedisPlace>
  /** The RabbitMQ, in a vhost of its own. */
  rabbit(): Promise<RabbitPlace>
  /** Removes what was started. */
  close(): Promise<void>
}

/** The servers, none of which runs yet. A container engine must answer when one is asked for. */
export function lazyServers(context: Context): Servers {
  let redis: Promise<{ server: QueueServer; place: RedisPlace }> | undefined
  let rabbit: Promise<RabbitServer> | undefined
  return {
    async redis() {
      const { place } = await (redis ??= startOneRedis(context))
      await place.flush()
      return place
    },
    async rabbit() {
      const server = await (rabbit ??= startOneRabbit(context))
      return vhost(server)
    },
    async close() {
      await (await redis)?.server.remove()
      await (await rabbit)?.remove()
    },
  }
}

async function startOneRedis({ note }: Context): Promise<{ server: QueueServer; place: RedisPlace }> {
  const { startRedis } = await import('@muster/testing/servers')
  const server = await startRedis({ config: REDIS_CONFIG })
  const url = await direct(server)
  note('redis', await withClient(url, describe))
  return { server, place: { url, usedMemory: () => withClient(url, usedMemory), flush: () => withClient(url, flush) } }
}

async function startOneRabbit({ note }: Context): Promise<RabbitServer> {
  const { startRabbit } = await import('@muster/testing/servers')
  const server = await startRabbit({ config: RABBIT_CONFIG })
  const { stdout } = await server.ctl('version')
  note('rabbitmq', { version: stdout.trim(), queues: 'durable', messages: 'persistent', config: RABBIT_CONFIG })
  return server
}

async function vhost(server: RabbitServer): Promise<RabbitPlace> {
  const url = (await server.vhost()).replace(`${server.host}:${server.port}`, `${await address(server)}:5672`)
  const name = decodeURIComponent(new URL(url).pathname.slice(1))
  return {
    url,
    async argumentsOf(queue) {
      const { stdout } = await server.ctl('list_queues', '-p', name, 'name', 'arguments', '--formatter', 'json')
      const queues = JSON.parse(stdout) as { readonly name: string; readonly arguments: unknown }[]
      const found = queues.find((one) => one.name.endsWith(`q:${queue}`))
      if (found === undefined) throw new Error(`no queue of ours is named ${queue}: ${stdout}`)
      return plainArguments(found.arguments)
    },
  }
}

/** rabbitmqctl gives them as an object, or as triples with the type in the middle: that differs by release. */
function plainArguments(given: unknown): QueueArguments {
  if (!Array.isArray(given)) return { ...(given as QueueArguments) }
  const triples = given as readonly (readonly [string, string, string | number | boolean])[]
  return Object.fromEntries(triples.map(([key, , value]) => [key, value]))
}

async function direct(server: QueueServer): Promise<string> {
  return server.url.replace(`${server.host}:${server.port}`, `${await address(server)}:6379`)
}

async function address(server: QueueServer): Promise<string> {
  const { stdout } = await server.exec('hostname -i')
  const [first] = stdout.trim().split(/\s+/)
  if (!first) throw new Error('the container of a server has no address')
  return first
}

async function withClient<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url)
  try {
    return await use(client)
  } finally {
    client.disconnect()
  }
}

async function describe(client: Redis): Promise<Readonly<Record<string, string>>> {
  const version = /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown'
  const settings = await Promise.all(
    REDIS_SHOWN.map(async (name) => [name, (await client.config('GET', name))[1] ?? ''] as const),
  )
  return { version, ...Object.fromEntries(settings) }
}

async function usedMemory(client: Redis): Promise<number> {
  return Number(/used_memory_dataset:(\d+)/.exec(await client.info('memory'))?.[1])
}

/** Data and log are gone afterwards: the next row neither meets them nor waits for a disk that still takes them. */
async function flush(client: Redis): Promise<void> {
  await client.flushall('SYNC')
  await client.bgrewriteaof()
  while (!/aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await client.info('persistence'))) await sleep(50)
}
