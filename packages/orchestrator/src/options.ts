/** The options of the facade: one strict schema each, so that a misspelt key is an error and not a silence. Types are inferred. */
import type { BackendConfig } from './address.js'
import type { BackendOptions, QueueBackend, QueueSettings } from './backend.js'
import { z } from 'zod'

const signal = z.instanceof(AbortSignal).optional()
const ms = z.int().nonnegative()

/** How a handler or a caller holds a message unless told otherwise, in milliseconds. */
const LEASE_MS = 30_000

const message = {
  /** The message's id; a uuid v7 unless given. Publishing one that is present changes nothing (`dedup`). */
  id: z.string().optional(),
  /** 0..9, 9 first; 5 unless given. */
  priority: z.int().min(0).max(9).optional(),
  /** Not handed out before this long from now. */
  delayMs: ms.optional(),
}

export const publishOptions = z.strictObject({ ...message, signal })
/** Options of `publish`. */
export type PublishOptions = z.input<typeof publishOptions>

export const batchMessage = z.strictObject({ body: z.unknown(), ...message })

export const receiveOptions = z.strictObject({
  /** How long to wait for a message; 0 (look once) unless given. */
  waitMs: ms.default(0),
  /** How long the delivery is held; 30 s unless given. */
  leaseMs: ms.default(LEASE_MS),
  /** Aborting rejects with AbortError. */
  signal,
})
/** Options of `receiveMessage`. */
export type ReceiveOptions = z.input<typeof receiveOptions>

export const consumeOptions = z.strictObject({
  /** How many handlers run at once; 1 unless given. No more messages than that are ever held. */
  concurrency: z.int().min(1).max(1_000).default(1),
  /** How long a delivery is held beyond each extension, which happens by itself; 30 s unless given. */
  leaseMs: z.int().min(3).default(LEASE_MS),
  /** The pause before a retry, in milliseconds, after `tries` earlier ones; 5 s x 4^tries up to 5 min with jitter unless given. */
  retryDelayMs: z.custom<(tries: number) => number>((value) => typeof value === 'function').optional(),
  /** Aborting stops the consumer and aborts its handlers: what they then fail at is given back uncounted. */
  signal,
  /** Whether waiting for messages keeps the process alive; true unless given. */
  keepAlive: z.boolean().default(true),
})
/** Options of `consume`. */
export type ConsumeOptions = z.input<typeof consumeOptions>

/** Options of `openOrchestrator`. */
export interface OrchestratorOptions extends Partial<BackendOptions> {
  /** `local` (the default), the URL of a server, the object form, or a backend of your own, which is then not closed by us. */
  readonly backend?: string | BackendConfig | QueueBackend
  /** Queues to declare, by name. */
  readonly queues?: Readonly<Record<string, Partial<QueueSettings>>>
  /** Yields [0, 1): the jitter of retries. */
  readonly random?: () => number
}
