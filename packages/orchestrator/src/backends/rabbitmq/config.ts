/**
 * What the address says about RabbitMQ, and what follows from it for the contract. Invariant: an option that is not known here is
 * refused, and the figures that we state are those that we use.
 */
import { MusterError, parseDuration } from '@muster/core'
import type { ServerAddress } from '../../address.js'
import type { BackendCapabilities } from '../../backend.js'

/** The kinds of queue that we can make. */
export const QUEUE_KINDS = ['classic', 'quorum'] as const
/** A kind of queue. */
export type QueueKind = (typeof QUEUE_KINDS)[number]

/** The settings of one opened backend. */
export interface RabbitConfig {
  readonly address: ServerAddress
  readonly namespace: string
  /** `classic`: durable on one node, with priorities. `quorum`: replicated and faster, without priorities. */
  readonly queueKind: QueueKind
  readonly heartbeatS: number
  readonly connectTimeoutMs: number
  /** How long a delivery can be held, extensions included: below the server's `consumer_timeout`, which closes the channel. */
  readonly maxHoldMs: number
}

const OPTIONS = ['queue', 'heartbeat', 'connectTimeout', 'consumerTimeout'] as const
/** What `consumer_timeout` is where nobody changed it in rabbitmq.conf. */
const SERVER_CONSUMER_TIMEOUT = '30m'
/** The longest lease, unless the server takes deliveries away earlier. */
const MAX_LEASE_MS = 25 * 60_000
/** The server looks once a minute at most; we let go before that. */
const CONSUMER_TIMEOUT_MARGIN_MS = 60_000

/** Reads the options of an address: `?queue=quorum&heartbeat=10s&connectTimeout=5s&consumerTimeout=4h`. Throws CONFIG_INVALID. */
export function readConfig(address: ServerAddress, namespace: string): RabbitConfig {
  const { options } = address
  for (const key of Object.keys(options))
    if (!OPTIONS.some((known) => known === key)) throw wrong(key, `is no option of RabbitMQ`, OPTIONS.join(', '))
  return {
    address,
    namespace,
    queueKind: kind(options['queue'] ?? 'classic'),
    heartbeatS: duration('heartbeat', options['heartbeat'] ?? '5s', 1_000, 60_000) / 1_000,
    connectTimeoutMs: duration('connectTimeout', options['connectTimeout'] ?? '5s', 100, 300_000),
    maxHoldMs:
      duration('consumerTimeout', options['consumerTimeout'] ?? SERVER_CONSUMER_TIMEOUT, 120_000, 30 * 86_400_000) -
      CONSUMER_TIMEOUT_MARGIN_MS,
  }
}

/** What a backend with these settings offers. */
export function capabilitiesOf({ queueKind, heartbeatS, maxHoldMs }: RabbitConfig): BackendCapabilities {
  return {
    name: 'rabbitmq',
    durable: true,
    shared: true,
    priority: queueKind === 'classic',
    // The server keeps no index of ids, counts only what is ready, and moves nothing atomically from queue to queue.
    dedup: false,
    exactCounts: false,
    keepsPlace: false,
    byId: false,
    atomicMove: false,
    browse: false,
    filteredClean: false,
    // It gives no time either, but for whole seconds in the headers of what it dead-lettered.
    serverTime: false,
    // A quorum queue returns what it sends to a consumer that is just ending, and that looks like a holder that vanished.
    exactCrashes: queueKind === 'classic',
    maxLeaseMs: Math.min(MAX_LEASE_MS, maxHoldMs),
    frozenHolderBoundMs: 3 * heartbeatS * 1_000,
  }
}

function kind(text: string): QueueKind {
  const found = QUEUE_KINDS.find((one) => one === text)
  if (found === undefined) throw wrong('queue', 'is no kind of queue', QUEUE_KINDS.join(' or '))
  return found
}

function duration(key: string, text: string, min: number, max: number): number {
  const expected = `a duration from ${min} ms to ${max} ms, such as 5s`
  try {
    const ms = parseDuration(text, key)
    if (ms >= min && ms <= max) return key === 'heartbeat' ? Math.round(ms / 1_000) * 1_000 : ms
  } catch {
    // Not a duration at all: the same answer as for one that is out of bounds.
  }
  throw wrong(key, 'cannot be used', expected)
}

function wrong(key: string, what: string, expected: string): MusterError {
  return new MusterError('CONFIG_INVALID', `backend: the option ${key} of the amqp address ${what}`, {
    hint: `Use ${expected}.`,
    details: { option: key },
  })
}
