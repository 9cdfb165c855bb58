/** @muster/orchestrator: queues with one contract over interchangeable backends. Useful alone. */
export * from './backend.js'
export * from './checks.js'
export type { Handler } from './consume.js'
export type { Delivery } from './delivery.js'
export { openBackend, openOrchestrator } from './open.js'
export type { ConsumeOptions, OrchestratorOptions, PublishOptions, ReceiveOptions } from './options.js'
export type { BatchMessage, Orchestrator, Published } from './orchestrator.js'
