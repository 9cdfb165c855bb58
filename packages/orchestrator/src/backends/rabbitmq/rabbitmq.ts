/**
 * The RabbitMQ backend: the contract of backend.ts on one durable queue per queue, with what the server lacks done here (attempts,
 * leases, delays) or declared absent (see config.ts). Two connections: the server stops reading from one that publishes when it is short of
 * memory, and acknowledgements must not wait behind that.
 *
 * Where things are: link (a connection that comes back), desk (questions), publisher (confirms), intake (arrivals), topology, ladder
 * (delays), registry (names, settings, pauses); receive, subscription, settle, publish and dead do the work of the members below.
 *
 * Invariant: every call is checked before it does anything, refuses after `close`, and is waited for by it.
 */
import { abortReason, closeOnce, MusterError } from '@muster/core'
import type { ServerAddress } from '../../address.js'
import type { BackendCapabilities, BackendOptions, OutgoingMessage, QueueBackend } from '../../backend.js'
import {
  checkExtensions,
  checkMessages,
  checkQueue,
  checkReceive,
  checkSelection,
  checkSettings,
  checkSettlements,
  requireCapability,
} from '../../checks.js'
import { capabilitiesOf, readConfig } from './config.js'
import { count } from './count.js'
import { assemble } from './parts.js'
import { Subscription } from './subscription.js'

/** How long `close` waits for calls under way before it ends the connections under them. */
const CLOSE_WITHIN_MS = 10_000
const MAX_SLOTS = 65_535

/** Opens the backend. Throws CONFIG_INVALID (address, password, vhost, a missing library) and BACKEND_UNAVAILABLE. */
export async function open(options: BackendOptions, address: ServerAddress): Promise<QueueBackend> {
  const config = readConfig(address, options.namespace)
  const capabilities = capabilitiesOf(config)
  const parts = await assemble(config, options)
  const { lines, post, receiver, settler, maintenance, registry, work } = parts
  const subscriptions = new Set<Subscription>()
  let closed = false

  /** Everything that a call has in common. */
  async function call<T>(task: () => Promise<T>, keepAlive = true): Promise<T> {
    if (closed) throw new MusterError('BACKEND_CLOSED', 'the RabbitMQ backend was closed')
    return work.run(task, keepAlive)
  }

  return {
    capabilities,

    declare: (name, settings = {}) =>
      call(async () => {
        checkQueue(name)
        checkSettings(settings)
        await lines.enter(name)
        if (Object.keys(settings).length > 0) await registry.change(name, { settings })
      }),

    publish: (name, messages, { signal } = {}) =>
      call(async () => {
        if (signal?.aborted) throw abortReason(signal)
        checkQueue(name)
        checkMessages(messages)
        checkPriorities(messages, capabilities)
        if (messages.length === 0) return []
        const line = lines.enter(name)
        return post.publish(line instanceof Promise ? await line : line, messages, signal)
      }),

    receive: (request) =>
      call(async () => {
        if (request.signal?.aborted) throw abortReason(request.signal)
        checkReceive(request, capabilities)
        return receiver.receive(await lines.visit(request.queue), request)
      }, request.keepAlive ?? true),

    settle: (batch) =>
      call(async () => {
        checkSettlements(batch)
        return settler.settle(batch)
      }),

    extend: (batch) =>
      call(async () => {
        checkExtensions(batch, capabilities)
        return settler.extend(batch)
      }),

    counts: (name) =>
      call(async () => {
        checkQueue(name)
        return count(lines.get(name), parts)
      }),

    list: () => call(() => registry.list()),

    browseDead: (name, { limit, cursor }) =>
      call(async () => {
        checkQueue(name)
        checkSelection({ limit }, capabilities)
        if (cursor !== undefined) requireCapability(capabilities, 'browse', 'going through dead letters in pages')
        return maintenance.browse(await lines.visit(name), limit)
      }),

    redrive: (name, which = {}) =>
      call(async () => {
        checkQueue(name)
        checkSelection(which, capabilities)
        return maintenance.redrive(await lines.visit(name), which.limit)
      }),

    clean: (name, which = {}) =>
      call(async () => {
        checkQueue(name)
        checkSelection(which, capabilities)
        return maintenance.clean(await lines.visit(name), which)
      }),

    setPaused: (name, paused) =>
      call(async () => {
        checkQueue(name)
        const line = await lines.enter(name)
        await registry.change(name, { paused })
        // Those who wait in this process let go before the caller goes on.
        if (paused) await line.quiet()
      }),

    subscribe: (request) =>
      call(async () => {
        checkReceive({ queue: request.queue, max: 1, waitMs: 0, leaseMs: request.leaseMs }, capabilities)
        if (!Number.isInteger(request.slots) || request.slots < 1 || request.slots > MAX_SLOTS)
          throw new MusterError('INVALID_ARGUMENT', `slots: expected a whole number from 1 to ${MAX_SLOTS}`)
        const subscription = new Subscription(await lines.visit(request.queue), request, parts)
        subscriptions.add(subscription)
        await subscription.open().catch(async (error: unknown) => {
          subscriptions.delete(subscription)
          await subscription.close()
          throw error
        })
        const close = closeOnce(async () => {
          subscriptions.delete(subscription)
          await work.run(() => subscription.close())
        })
        return { close }
      }),

    close: closeOnce(() =>
      work.hold(async () => {
        closed = true
        const patience = new Promise<void>((resolve) => options.clock.after(CLOSE_WITHIN_MS, resolve))
        await Promise.race([Promise.all([...subscriptions].map((one) => one.close())), patience])
        parts.closing.emit()
        await Promise.race([work.settled(), patience])
        await parts.close()
      }),
    ),
  }
}

function checkPriorities(messages: readonly OutgoingMessage[], capabilities: BackendCapabilities): void {
  if (messages.some(({ priority = 5 }) => priority !== 5))
    requireCapability(capabilities, 'priority', 'priorities on quorum queues')
}
