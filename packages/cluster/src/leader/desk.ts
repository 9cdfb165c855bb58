/** What everything inside one leadership shares: the fence, the record, the workers, and the way to say that something changed. */
import type { Clock, Logger, TaskGroup, Worker } from '@muster/core'
import type { JobStore } from '@muster/job-manager'
import type { Postponed } from './postponed.js'

/** Durations of the leader's work, milliseconds. */
export interface Tuning {
  /** Sweep of the record when nothing calls. */
  readonly sweepMs: number
  /** From a change of the record to the look at what others may have changed. */
  readonly changeMs: number
  /** Inspection of running attempts when no hint comes. */
  readonly inspectMs: number
  /** From the end of an attempt to the removal of its directory, together with others. */
  readonly removeMs: number
  /** Look for strangers on a machine's GPUs. */
  readonly gpuProbeMs: number
  /** Look at what any machine has: its disk fills, a tool is installed. */
  readonly probeMs: number
  /** A machine with nothing to do is asked whether it is there. */
  readonly idleMs: number
  /** Pause after a machine failed to answer, doubled up to `backoffMaxMs`, times 0.5 to 1.5. */
  readonly backoffMs: number
  readonly backoffMaxMs: number
  /** Between two stops of a tree that survives KILL. */
  readonly stuckRetryMs: number
}

/** The defaults. */
export const DEFAULT_TUNING: Tuning = {
  sweepMs: 1_000,
  changeMs: 50,
  removeMs: 250,
  inspectMs: 1_000,
  gpuProbeMs: 10_000,
  probeMs: 60_000,
  idleMs: 5_000,
  backoffMs: 500,
  backoffMaxMs: 15_000,
  stuckRetryMs: 5_000,
}

/** Shared by the parts of one leadership. */
export interface Desk {
  readonly store: JobStore
  readonly epoch: number
  /** `leader:USER@HOST:PID`, the actor of what the leader writes. */
  readonly actor: string
  readonly host: string
  readonly workers: ReadonlyMap<string, Worker>
  readonly filesDirectory: string
  readonly clock: Clock
  readonly logger: Logger
  /** 0 to 1, for jitter. */
  readonly random: () => number
  readonly tuning: Tuning
  readonly tasks: TaskGroup
  readonly postponed: Postponed
  /** Fires when this leadership is over, for whatever reason. */
  readonly over: AbortSignal
  /** Capacity may have become free, or something became due: the sweep should look. */
  wake(): void
  /** A write was refused because another leads: step down. */
  superseded(): void
}
