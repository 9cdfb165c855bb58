/**
 * A process of its own that opens the backend and does what it is told, call by call, until it is killed: the suite's crashes, freezes
 * and crowds are real ones. Invariant: receipts stay here, as they must; the suite names a delivery by a number.
 */
import type { JsonValue } from '@muster/core'
import {
  openBackend,
  openOrchestrator,
  type ExtendOutcome,
  type OutgoingMessage,
  type PublishOutcome,
  type QueueBackend,
  type QueueCounts,
  type RawDelivery,
  type ReceiveRequest,
  type SettleOutcome,
} from '@muster/orchestrator'
import { taskWorker, type ConsumeOrder, type ProduceOrder, type Seen } from './work.js'

/** What a child is started with. */
export interface Orders {
  /** What opens the backend; without one, openBackend does, to which the config is then given. */
  readonly module?: string | undefined
  readonly config: JsonValue
  readonly namespace: string
  /** By how much the wall clock of this process is wrong. */
  readonly clockOffsetMs?: number
}

/** A delivery that the child holds under a number. */
export interface Held extends Omit<RawDelivery, 'receipt' | 'body' | 'leaseUntil'> {
  readonly key: number
  readonly text: string
  /** How much of the lease was left when it came. */
  readonly leftMs: number
}

/** A message by its text. */
export type TextMessage = Omit<OutgoingMessage, 'body'> & { readonly text: string }

/** What a child is asked, and what it answers. `progress` may come in between. */
export type Question = { readonly id: number; readonly name: keyof Calls; readonly args: readonly unknown[] }
/** See {@link Question}. */
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }
  | { readonly progress: number }
  | { readonly handled: string }

/** What a child can do. */
export type Calls = ReturnType<typeof calls>

interface Opening {
  open(namespace: string, config: JsonValue): Promise<QueueBackend>
}

const say = (answer: Answer): void => void process.send?.(answer)

function calls(backend: QueueBackend) {
  const held = new Map<number, RawDelivery>()
  let stop = new AbortController()
  let keys = 0
  const receipt = (key: number): RawDelivery['receipt'] => {
    const delivery = held.get(key)
    if (delivery === undefined) throw new Error(`no delivery ${key}`)
    return delivery.receipt
  }
  const worker = taskWorker(backend)
  const publish = (queue: string, messages: readonly TextMessage[]): Promise<readonly PublishOutcome[]> =>
    backend.publish(
      queue,
      messages.map(({ text, ...rest }) => ({ ...rest, body: new TextEncoder().encode(text) })),
    )
  return {
    publish: async (queue: string, messages: readonly TextMessage[]): Promise<readonly string[]> =>
      (await publish(queue, messages)).map(({ status }) => status),
    /** Dies by SIGKILL in the very moment that all are accepted. */
    publishAndDie: async (queue: string, messages: readonly TextMessage[]): Promise<never> => {
      const outcomes = await publish(queue, messages)
      if (outcomes.every(({ status }) => status === 'accepted')) process.kill(process.pid, 'SIGKILL')
      throw new Error(`not accepted: ${JSON.stringify(outcomes)}`)
    },
    receive: async (request: ReceiveRequest): Promise<readonly Held[]> =>
      (await backend.receive(request)).map((delivery) => {
        held.set(++keys, delivery)
        const { body, leaseUntil, receipt: _, ...rest } = delivery
        const text = new TextDecoder().decode(body)
        return { ...rest, key: keys, text, leftMs: leaseUntil - performance.now() }
      }),
    ack: async (...keysToSettle: number[]): Promise<readonly SettleOutcome[]> =>
      backend.settle(keysToSettle.map((key) => ({ as: 'ack', receipt: receipt(key) }))),
    extend: async (key: number, leaseMs: number): Promise<readonly ExtendOutcome[]> =>
      backend.extend([{ receipt: receipt(key), leaseMs }]),
    setPaused: (queue: string, paused: boolean): Promise<void> => backend.setPaused(queue, paused),
    counts: (queue: string): Promise<QueueCounts> => backend.counts(queue),
    produce: (order: ProduceOrder): Promise<number> => worker.produce(order),
    /** Until `stop`. */
    consume: (order: ConsumeOrder): Promise<readonly Seen[]> => {
      stop = new AbortController()
      return worker.consume(order, (progress) => say({ progress }), stop.signal)
    },
    stop: async (): Promise<void> => stop.abort(),
    /** Handles messages through the facade, each in its time; `kill` ends this process as soon as it is begun. */
    handle: async (queue: string, concurrency: number, handleMs: number, leaseMs: number): Promise<void> => {
      const orchestrator = await openOrchestrator({ backend })
      const handler = async ({ body }: { readonly body: JsonValue }): Promise<void> => {
        if (body === 'kill') process.kill(process.pid, 'SIGKILL')
        await new Promise((resolve) => setTimeout(resolve, handleMs))
        say({ handled: typeof body === 'string' ? body : '' })
      }
      orchestrator.consume(queue, handler, { concurrency, leaseMs })
    },
    /** What this process keeps open, by kind, and how often it was warned. */
    resources: async (): Promise<Readonly<Record<string, number>>> => {
      const count: Record<string, number> = { warnings }
      for (const kind of process.getActiveResourcesInfo()) count[kind] = (count[kind] ?? 0) + 1
      return count
    },
    close: (): Promise<void> => backend.close(),
  }
}

let warnings = 0
process.on('warning', () => warnings++)

function shiftClock(offsetMs: number): void {
  const now = Date.now
  Date.now = () => now() + offsetMs
}

function openHere(namespace: string, config: JsonValue): Promise<QueueBackend> {
  return openBackend(config as string, { namespace })
}

async function main({ module, config, namespace, clockOffsetMs = 0 }: Orders): Promise<void> {
  if (clockOffsetMs !== 0) shiftClock(clockOffsetMs)
  const { open } = module === undefined ? { open: openHere } : ((await import(module)) as Opening)
  const able = calls(await open(namespace, config))
  process.on('message', ({ id, name, args }: Question) => {
    const call = able[name] as (...args: readonly unknown[]) => Promise<unknown>
    call(...args).then(
      (value) => say({ id, value }),
      (error: unknown) => {
        const code = error instanceof Error && 'code' in error ? String(error.code) : ''
        say({ id, error: { code, message: String(error) } })
      },
    )
  })
  say({ progress: 0 })
}

// Ends with the suite, however that ends.
process.on('disconnect', () => process.exit(0))
await main(JSON.parse(process.argv[2] ?? '{}') as Orders)
