/** @muster/orchestrator: queues with one contract over interchangeable backends. Useful alone. */
export { backendConfig, parseAddress, type BackendConfig, type ServerAddress, type TlsSettings } from './address.js'
export { isServerScheme, parseUrl, schemeOf, type HostPort, type ServerScheme, type UrlParts } from './address-url.js'
export * from './backend.js'
export * from './checks.js'
export type { Handler } from './consume.js'
export type { DeadMessage, DeadMessagePage } from './dead-letters.js'
export type { Delivery } from './delivery.js'
export type { QueueEventName, QueueEvents, QueueListener } from './events.js'
export { describeBackend } from './describe.js'
export { openBackend, openOrchestrator } from './open.js'
export type {
  CloseOptions,
  ConsumeOptions,
  DeadLettersOptions,
  OrchestratorOptions,
  PublishOptions,
  ReceiveOptions,
  StreamOptions,
} from './options.js'
export type { Orchestrator } from './orchestrator.js'
export type { BatchMessage, Published } from './publish.js'
export { defineQueue, type QueueDefinition, type QueueOptions, type QueueRef } from './queue-definition.js'
export type { RetryPolicy } from './retry-policy.js'
export type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.js'
export type { Counted, Percentiles, QueueStats } from './statistics.js'
export type { ConsumerHandle } from './takers.js'
