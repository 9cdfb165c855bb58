/** The job handle: what people hold of a job. */
export { JobHandle, type WaitOptions } from './handle.js'
export type { HandleDeps } from './deps.js'
export type { LogOptions } from './follow.js'
export type { LogLine, LogPiece } from './lines.js'
export type { Artifact } from './artifacts.js'
export { JobError, type JobResult } from './result.js'
