/** @muster/testing/queue-history: conformance items 33 and 34 at any length, outside of a test. */
export { runQueueHistory, type Fault, type HistoryOptions, type HistoryReport } from './run.js'
export { runQueueSoak, type Holding, type SoakOptions, type SoakReport } from './soak.js'
export type { Verdict } from './verdict.js'
export type { HarmableServer, OpenOptions, OtherProcesses, QueueBackendFactory } from '../queue-backend/kit.js'
