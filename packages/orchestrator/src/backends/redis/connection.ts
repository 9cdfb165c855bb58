/**
 * One connection to one Redis server through ioredis, which is imported only here and only when somebody connects. Whatever the library
 * would do by itself (reconnect, queue, resend, select) is off: it cannot know which of our calls may be repeated.
 *
 * Invariant: a call ends. Either the server answers within its deadline, or the connection counts as dead and all its calls are lost. A
 * connection keeps the process alive only while a call is under way, one that listens not even then.
 */
import type { Clock } from '@muster/core'
import type { Redis } from 'ioredis'
import { importClient } from '../../client.js'
import type { RedisConfig } from './config.js'
import { ConnectionLost } from './errors.js'

/** An argument of a command. */
export type Argument = string | Buffer

/** A connection, or what stands for several: answers come as buffers. */
export interface Connection {
  /** Rejects with ConnectionLost, or with the error that the server answered. */
  call(command: string, args: readonly Argument[], deadlineMs?: number): Promise<unknown>
  /** Ends it at once; calls under way are lost. */
  destroy(why?: string): void
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
}

/** After a deadline, how long the answer may still be found in our own socket: this process may have been the one that slept. */
const GRACE_MS = 50

/** What a connection is for. */
export interface Purpose {
  readonly host: string
  readonly port: number
  /** Whether calls under way keep the process alive. */
  readonly keepsAlive: boolean
}

/** Connects; proves nothing to the server yet. Throws what the network said. */
export async function connect(
  config: RedisConfig,
  { host, port, keepsAlive }: Purpose,
  clock: Clock,
): Promise<Connection> {
  const { Redis, Command } = await importClient('ioredis', () => import('ioredis'))
  const client = new Redis({ ...clientOptions(config), host, port })
  let last: Error | undefined
  client.on('error', (error: Error) => (last ??= error))
  try {
    await client.connect()
  } catch (error) {
    throw last ?? error
  }
  return new SingleConnection(client, (name, args) => new Command(name, args), { config, clock, keepsAlive })
}

/** How ioredis is to be: a protocol, no policy. Its own handshake would go on with database 0 where SELECT failed, so we do ours. */
function clientOptions({ address: { tls }, connectTimeoutMs }: RedisConfig) {
  return {
    lazyConnect: true,
    protocol: 2 as const,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: () => null,
    connectTimeout: connectTimeoutMs,
    keepAlive: 10_000,
    ...(tls && {
      tls: {
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert }),
        ...(tls.key !== undefined && { key: tls.key }),
        ...(tls.servername !== undefined && { servername: tls.servername }),
        rejectUnauthorized: tls.verify,
      },
    }),
  }
}

type Sendable = Parameters<Redis['sendCommand']>[0]

/** What a connection stands on. */
interface Deps {
  readonly config: RedisConfig
  readonly clock: Clock
  readonly keepsAlive: boolean
}

class SingleConnection implements Connection {
  readonly ended: Promise<void>
  readonly #client: Redis
  readonly #command: (name: string, args: Argument[]) => Sendable
  readonly #deps: Deps
  /** When the calls under way count as lost, oldest first: the server answers in order. */
  readonly #deadlines: number[] = []
  #answered = 0
  #watching = false
  #why = 'the connection broke'

  constructor(client: Redis, command: (name: string, args: Argument[]) => Sendable, deps: Deps) {
    this.#client = client
    this.#command = command
    this.#deps = deps
    this.ended = new Promise((resolve) => client.once('end', resolve))
    client.stream.unref()
  }

  async call(
    name: string,
    args: readonly Argument[],
    deadlineMs = this.#deps.config.commandTimeoutMs,
  ): Promise<unknown> {
    if (this.#client.status !== 'ready') throw new ConnectionLost(this.#why)
    this.#began(deadlineMs)
    try {
      return await this.#client.sendCommand(this.#command(name, [...args]))
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'ReplyError')
        throw new ConnectionLost(this.#why, { cause: error })
      // The library hangs the command on it, which may have been AUTH.
      if ('command' in error) delete error.command
      throw error
    } finally {
      this.#done()
    }
  }

  destroy(why = 'the connection was closed'): void {
    this.#why = why
    // The library waits two seconds for the end of a socket, also of one that has ended: that would keep the process alive.
    if (this.#client.stream.destroyed) return
    this.#client.disconnect()
    // The library only half-closes; a dead peer never answers that.
    this.#client.stream.destroy()
  }

  get #pending(): number {
    return this.#deadlines.length - this.#answered
  }

  #began(deadlineMs: number): void {
    if (this.#pending === 0 && this.#deps.keepsAlive) this.#client.stream.ref()
    this.#deadlines.push(this.#deps.clock.monotonic() + deadlineMs)
    if (!this.#watching) this.#watch(deadlineMs)
  }

  #done(): void {
    this.#answered++
    if (this.#pending > 0) {
      if (this.#answered === 1_024) this.#deadlines.splice(0, 1_024)
      this.#answered %= 1_024
      return
    }
    this.#deadlines.length = this.#answered = 0
    this.#client.stream.unref()
  }

  #watch(ms: number, suspect?: number): void {
    this.#watching = true
    this.#deps.clock.after(Math.ceil(ms), () => {
      this.#watching = false
      const oldest = this.#deadlines[this.#answered]
      if (oldest === undefined) return
      const left = oldest - this.#deps.clock.monotonic()
      if (left > 0) this.#watch(left)
      else if (oldest !== suspect) this.#watch(GRACE_MS, oldest)
      else this.destroy('the server did not answer in time')
    })
  }
}
