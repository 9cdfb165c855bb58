/** @muster/sdk: open muster, say what is to run, hold the job. One import for everything that a user of muster needs. */
export { open, type OpenOptions } from './open.js'
export { Muster, type PausedQueue } from './muster.js'
export { writeChanges, type FileChange } from './config/write.js'
export type { MachineInput, SshInput } from './config/schema.js'
export { planRemoval, prospectMachine, type Prospect, type ProspectOptions } from './machines/prospect.js'
export {
  drainText,
  factsOf,
  JobError,
  JobHandle,
  probeOf,
  timeText,
  troubleText,
  type Artifact,
  type Cluster,
  type Explanation,
  type JobResult,
  type LogLine,
  type LogOptions,
  type LogPiece,
  type MachineLook,
  type MachineFacts,
  type SeenHostKey,
  type SubmitContext,
  type WaitOptions,
} from '@muster/cluster'
export {
  ERRORS,
  isMusterError,
  MusterError,
  type AssignedJob,
  type AttemptExit,
  type Conditions,
  type ErrorCode,
  type JobDefinitionInput,
  type JobEventRecord,
  type JobState,
  type JsonValue,
  type LaunchPlan,
  type Logger,
  type MachineAccess,
  type SubmitOptions,
  type Worker,
  type WorkerContext,
} from '@muster/core'
export type {
  AttemptRecord,
  JobFilter,
  JobManager,
  JobPage,
  JobRecord,
  LiveAttempt,
  MachineRecord,
} from '@muster/job-manager'
export type {
  BackendCapabilities,
  BackendConfig,
  Capability,
  CleanRequest,
  DeadMessage,
  Orchestrator,
  QueueCounts,
} from '@muster/orchestrator'
export { command, dirty, git, type CommandInput, type GitInput } from '@muster/workers'
