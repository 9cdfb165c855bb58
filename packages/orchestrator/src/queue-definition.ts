/**
 * What a queue is, said once and shared by those who publish and those who consume: its name, the schema of its messages, how they are
 * retried. Wherever the facade takes a queue it takes a name (any JSON) or a definition (its types). Invariant: a definition is
 * plain data about a queue; it opens nothing and holds nothing.
 */
import { MusterError, type JsonValue } from '@muster/core'
import type { QueueSettings } from './backend.js'
import { checkQueue } from './checks.js'
import type { RetryPolicy } from './retry-policy.js'
import type { StandardSchema } from './standard-schema.js'

/** What may be said of a queue beside its name. */
export interface QueueOptions<In, Out> extends Partial<QueueSettings> {
  /** Checks what is published and what is delivered; without one any JSON passes. */
  readonly schema?: StandardSchema<In, Out>
  /** How long a failed message pauses; a consumer's own `retry` goes before it. */
  readonly retry?: RetryPolicy
}

/** A queue with its types: `In` is what is published, `Out` what the schema makes of it on the other side. */
export interface QueueDefinition<In = JsonValue, Out = In> {
  readonly name: string
  readonly schema: StandardSchema<In, Out> | undefined
  readonly retry: RetryPolicy | undefined
  /** What `declare` sets. */
  readonly settings: Partial<QueueSettings>
}

/** A queue by name, or by its definition. */
export type QueueRef<In = JsonValue, Out = In> = string | QueueDefinition<In, Out>

/** What is known of a queue whose name alone was given. */
export interface KnownQueue {
  readonly name: string
  readonly schema: StandardSchema | undefined
  readonly retry: RetryPolicy | undefined
}

/**
 * Defines a queue: `defineQueue('mail', { schema: z.object({ to: z.email() }), maxTries: 3 })`. What is published is checked as it will
 * arrive, as JSON. Throws INVALID_ARGUMENT for a wrong name and for a schema that is none.
 */
export function defineQueue<In = JsonValue, Out = In>(
  name: string,
  { schema, retry, ...settings }: QueueOptions<In, Out> = {},
): QueueDefinition<In, Out> {
  checkQueue(name)
  if (schema !== undefined && typeof schema['~standard']?.validate !== 'function')
    throw new MusterError('INVALID_ARGUMENT', `queue ${name}: schema: expected a Standard Schema v1 validator`)
  return { name, schema, retry, settings }
}

/** A queue as the facade uses it. Throws INVALID_ARGUMENT for what is neither a name nor a definition. */
export function known<In, Out>(queue: QueueRef<In, Out>): KnownQueue {
  if (typeof queue === 'object' && queue !== null) return queue
  checkQueue(queue)
  return { name: queue, schema: undefined, retry: undefined }
}
