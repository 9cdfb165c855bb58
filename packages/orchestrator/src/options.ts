/** The options of the facade: one strict schema each, so that a misspelt key is an error and not a silence. Types are inferred. */
import type { BackendConfig } from './address.js'
import type { BackendOptions, QueueBackend, QueueSettings } from './backend.js'
import { retryPolicy } from './retry-policy.js'
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
  /** How long one handler may take before its signal aborts, in milliseconds; as long as it likes unless given. */
  timeoutMs: z.int().min(1).optional(),
  /** The pause before a retry: a policy, or milliseconds after `tries` earlier ones; the queue's policy unless given. */
  retry: z
    .union([retryPolicy, z.custom<(tries: number) => number>((value) => typeof value === 'function', 'a function')])
    .optional(),
  /** Aborting stops the consumer and aborts its handlers: what they then fail at is given back uncounted. */
  signal,
  /** Whether waiting for messages keeps the process alive; true unless given. */
  keepAlive: z.boolean().default(true),
})
/** Options of `consume` with a handler. */
export type ConsumeOptions = z.input<typeof consumeOptions>

export const streamOptions = consumeOptions.omit({ concurrency: true, timeoutMs: true })
/** Options of `consume` without a handler: a `for await` handles one message at a time. */
export type StreamOptions = z.input<typeof streamOptions>

export const closeOptions = z.strictObject({
  /** How long handlers may go on before their signals abort (CONSUMER_CLOSED), in milliseconds; without limit unless given. */
  drainMs: ms.optional(),
  /** How long they then have to end, in milliseconds; 5 s unless given. One that does not is left behind. */
  graceMs: ms.default(5_000),
})
/** Options of `close`. */
export type CloseOptions = z.input<typeof closeOptions>

export const deadLettersOptions = z.strictObject({
  /** At most this many letters, 1..1,000; 100 unless given. */
  limit: z.int().min(1).max(1_000).default(100),
  /** Where the page begins: the `cursor` of the page before. */
  cursor: z.string().optional(),
})
/** Options of `deadLetters`. */
export type DeadLettersOptions = z.input<typeof deadLettersOptions>

/** Options of `openOrchestrator`. */
export interface OrchestratorOptions extends Partial<BackendOptions> {
  /** `local` (the default), the URL of a server, the object form, or a backend of your own, which is then not closed by us. */
  readonly backend?: string | BackendConfig | QueueBackend
  /** Queues to declare, by name. */
  readonly queues?: Readonly<Record<string, Partial<QueueSettings>>>
  /** Yields [0, 1): the jitter of retries. */
  readonly random?: () => number
}
