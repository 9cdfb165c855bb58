/** @muster/job-manager: the record. Useful alone. */
export type * from './types.js'
