/**
 * One connection to RabbitMQ through amqplib, which is imported only here and only when somebody connects. Invariant: a connection never
 * keeps the process alive by itself, and `destroy` ends it at once, whatever the network does.
 */
import { MusterError } from '@muster/core'
import type { Channel, ChannelModel, Options, SocketOptions } from 'amqplib'
import { importClient } from '../../client.js'
import { dialFailed } from './errors.js'
import type { RabbitConfig } from './config.js'

/** The parts of the library's connection that it does not declare, and that we cannot do without. */
interface Internals {
  readonly stream?: { unref?: () => void; destroy?: () => void; on?: (event: string, listener: () => void) => void }
  readonly heartbeater?: { readonly sendTimer?: NodeJS.Timeout; readonly recvTimer?: NodeJS.Timeout } | null
  readonly serverProperties?: { readonly version?: string }
}

/** A connection. */
export interface Connection {
  readonly model: ChannelModel
  /** The server's version, as it says. */
  readonly version: string
  /** Ends the socket at once. The library only half-closes it, and a dead peer never answers that. */
  destroy(): void
}

/** Connects to the first of the hosts that answers. `purpose` is what the server's listings show. Throws CONFIG_INVALID, BACKEND_UNAVAILABLE. */
export async function connect(config: RabbitConfig, purpose: string): Promise<Connection> {
  const library = await importClient('amqplib', () => import('amqplib'))
  let last: MusterError | undefined
  for (const { host, port } of config.address.hosts) {
    try {
      return tame(await library.connect(target(config, host, port), socketOptions(config, purpose)))
    } catch (error) {
      last = dialFailed(config.address, error)
      if (!last.retryable) throw last
    }
  }
  throw last ?? new MusterError('CONFIG_INVALID', 'backend: the amqp address names no host')
}

function target({ address, heartbeatS }: RabbitConfig, hostname: string, port: number): Options.Connect {
  return {
    protocol: address.tls ? 'amqps' : 'amqp',
    hostname,
    port,
    username: address.user ?? 'guest',
    password: address.password ?? (address.user === undefined ? 'guest' : ''),
    // The library decodes it once more.
    vhost: encodeURIComponent(address.path === '' ? '/' : address.path),
    heartbeat: heartbeatS,
  }
}

function socketOptions({ address, connectTimeoutMs }: RabbitConfig, purpose: string): SocketOptions {
  const { tls } = address
  return {
    // Without it one message at a time takes 40 ms: Nagle's algorithm waits for the server's delayed acknowledgement.
    noDelay: true,
    keepAlive: true,
    timeout: connectTimeoutMs,
    clientProperties: { connection_name: purpose },
    ...(tls && {
      ...(tls.ca !== undefined && { ca: tls.ca }),
      ...(tls.cert !== undefined && { cert: tls.cert }),
      ...(tls.key !== undefined && { key: tls.key }),
      ...(tls.servername !== undefined && { servername: tls.servername }),
      rejectUnauthorized: tls.verify,
    }),
  }
}

function tame(model: ChannelModel): Connection {
  const { stream, heartbeater, serverProperties }: Internals = model.connection
  stream?.unref?.()
  heartbeater?.sendTimer?.unref()
  heartbeater?.recvTimer?.unref()
  // The library removes its listeners when it is done; an error of a socket that nobody listens to would end the process.
  stream?.on?.('error', () => undefined)
  return { model, version: serverProperties?.version ?? '', destroy: () => stream?.destroy?.() }
}

/** Ends a channel; resolves when it has ended. The library leaves its own answer out where the connection breaks meanwhile. */
export function closeChannel(channel: Channel): Promise<void> {
  return new Promise((resolve) => {
    channel.once('close', () => resolve())
    channel.close().then(resolve, () => resolve()) // gone with its connection: closed all the same
  })
}
