/** @muster/testing/queue-history: conformance item 33 at any length, outside of a test. */
export { runQueueHistory, type Fault, type HistoryOptions, type HistoryReport } from './run.js'
export type { Verdict } from './verdict.js'
export type { HarmableServer, OpenOptions, OtherProcesses, QueueBackendFactory } from '../queue-backend/kit.js'
