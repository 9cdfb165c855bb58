/**
 * The Redis backend: queues on a Redis server (6.2 and newer, or Valkey), shared by all processes that reach it. It lacks nothing of the
 * contract. What is promised beyond the server's life depends on the server's own settings, which are checked when it is opened.
 *
 * Invariant: the server decides everything, by scripts that each move a message from one place to another in one step and on the server's
 * clock. What this side remembers (receipts, who waits) can be lost with the process without harm.
 */
import { abortReason, closeOnce, MusterError } from '@muster/core'
import type { ServerAddress } from '../../address.js'
import {
  CAPABILITIES,
  type BackendCapabilities,
  type BackendOptions,
  type Capability,
  type QueueBackend,
} from '../../backend.js'
import {
  checkExtensions,
  checkMessages,
  checkQueue,
  checkReceive,
  checkSelection,
  checkSettings,
  checkSettlements,
} from '../../checks.js'
import { readConfig } from './config.js'
import { Desk } from './desk.js'
import { openServer } from './dial.js'
import { publish } from './publisher.js'
import { Ledger } from './receipts.js'
import { Receiver } from './receiver.js'
import { Settler } from './settler.js'
import * as upkeep from './upkeep.js'

/** What the Redis backend offers: everything. */
export const REDIS_CAPABILITIES: BackendCapabilities = {
  ...(Object.fromEntries(CAPABILITIES.map((name) => [name, true])) as Record<Capability, boolean>),
  name: 'redis',
  maxLeaseMs: 86_400_000,
  frozenHolderBoundMs: 0,
}

/**
 * Connects. Throws CONFIG_INVALID where the server refuses us or is too old, BACKEND_UNAVAILABLE where it cannot be reached.
 */
export async function open(options: BackendOptions, address: ServerAddress): Promise<QueueBackend> {
  const { clock, ids, logger, namespace } = options
  const config = readConfig(address, namespace)
  const random = (): number => parseInt(ids.token().slice(0, 8), 16) / 2 ** 32
  const server = await openServer({ config, clock, logger, random })

  const desk = new Desk({ server, clock, ids, namespace })
  const ledger = new Ledger()
  const settler = new Settler({ desk, ledger, onSuspectGone: (queue) => receiver.ring(queue) })
  const giveBack = settler.giveBack.bind(settler)
  const receiver: Receiver = new Receiver({ desk, ledger, giveBack })
  const underWay = new Set<Promise<unknown>>()
  let closed = false

  /** Does something unless we are closed; `close` waits for it. */
  async function use<T>(work: () => Promise<T>): Promise<T> {
    if (closed) throw new MusterError('BACKEND_CLOSED', 'the Redis backend was closed')
    const working = work()
    underWay.add(working)
    try {
      return await working
    } finally {
      underWay.delete(working)
    }
  }

  return {
    capabilities: REDIS_CAPABILITIES,

    declare: async (queue, settings = {}) => {
      checkQueue(queue)
      checkSettings(settings)
      return use(() => desk.declare(desk.keys(queue), settings))
    },

    publish: async (queue, messages, { signal } = {}) => {
      if (signal?.aborted) throw abortReason(signal)
      checkQueue(queue)
      checkMessages(messages)
      return use(() => publish(desk, queue, messages, signal))
    },

    receive: async (request) => {
      if (request.signal?.aborted) throw abortReason(request.signal)
      checkReceive(request, REDIS_CAPABILITIES)
      return use(() => receiver.receive(request))
    },

    settle: async (batch) => {
      checkSettlements(batch)
      return use(() => settler.settle(batch))
    },

    extend: async (batch) => {
      checkExtensions(batch, REDIS_CAPABILITIES)
      return use(() => settler.extend(batch))
    },

    counts: async (queue) => {
      checkQueue(queue)
      return use(() => upkeep.counts(desk, queue))
    },

    list: async () => use(() => upkeep.list(desk)),

    browseDead: async (queue, { limit, cursor = '0' }) => {
      checkQueue(queue)
      checkSelection({ limit }, REDIS_CAPABILITIES)
      if (!/^\d{1,17}$/.test(cursor)) throw new MusterError('INVALID_ARGUMENT', 'cursor: expected one that a page gave')
      return use(() => upkeep.browseDead(desk, queue, limit, cursor))
    },

    redrive: async (queue, which = {}) => {
      checkQueue(queue)
      checkSelection(which, REDIS_CAPABILITIES)
      return use(() => upkeep.redrive(desk, queue, which))
    },

    clean: async (queue, which = {}) => {
      checkQueue(queue)
      checkSelection(which, REDIS_CAPABILITIES)
      return use(() => upkeep.clean(desk, queue, which))
    },

    setPaused: async (queue, paused) => {
      checkQueue(queue)
      return use(() => desk.configure(desk.keys(queue), { paused: paused ? '1' : '' }))
    },

    close: closeOnce(async () => {
      closed = true
      await receiver.close()
      await Promise.allSettled(underWay)
      server.close()
    }),
  }
}
