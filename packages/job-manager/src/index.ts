/** @muster/job-manager: the record. Useful alone. */
export {
  JobManager,
  openJobManager,
  type JobManagerOptions,
  type ListFilter,
  type RegisteredJob,
  type StatusResults,
} from './job-manager.js'
export { openStore, type StoreOptions } from './open-store.js'
export type { LeaseTimes } from './lease.js'
export { shapeOf, type Shape } from './shape.js'
export type * from './store.js'
export type * from './types.js'
