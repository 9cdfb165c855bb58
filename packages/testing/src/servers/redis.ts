/**
 * A Redis server of its own for a test. Invariant: unless told otherwise it keeps what a Redis that was just installed keeps:
 * snapshots now and then and at a graceful end, no log of every write.
 */
import { startQueueServer, type QueueServer } from './queue-server.js'

/** What a Redis is to be like. */
export interface RedisOptions {
  /** Lines of redis.conf: `appendonly yes`. */
  readonly config?: readonly string[]
  /** Another image (of Redis or Valkey) with its own entry point; `MUSTER_REDIS_IMAGE` unless given, else Debian's Redis. */
  readonly image?: string | undefined
}

const PORT = 6379
const CONFIG = '/machine/redis.conf'

/**
 * Starts a Redis and comes back when it answers.
 * @throws MusterError `MACHINE_UNUSABLE` when there is no engine, no image, or it does not come up
 */
export async function startRedis(options: RedisOptions = {}): Promise<QueueServer> {
  const image = options.image ?? process.env['MUSTER_REDIS_IMAGE']
  const { server } = await startQueueServer({
    name: 'Redis',
    order: {
      image,
      // The entry points of the images of Redis and Valkey take the name of a file for the server's.
      command: image === undefined ? ['/usr/bin/redis-server', CONFIG] : [CONFIG],
      contents: { [CONFIG]: configuration(image, options.config ?? []) },
      port: PORT,
      ready: /Ready to accept connections/,
    },
    url: (host, port) => `redis://${host}:${port}`,
    hello: 'PING\r\n',
    // A server that wants a password first is up too; one that still loads its data says -LOADING.
    ready: (answer) => /^(\+PONG|-NOAUTH|-NOPERM)/.test(answer),
  })
  return server
}

/** Debian's package keeps its data in a directory of its own; other images start where their data is. */
function configuration(image: string | undefined, config: readonly string[]): string {
  const place = image === undefined ? ['dir /var/lib/redis'] : []
  return [`port ${PORT}`, 'bind 0.0.0.0', 'protected-mode no', ...place, ...config, ''].join('\n')
}
