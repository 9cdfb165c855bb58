/**
 * The Worker contract: what third parties implement. A dynamic worker turns a job into a plan of plain data; the machine's
 * side (claim, supervision, limits, logs, exit record) is the same for all and not the worker's business.
 */
import type { AttemptReason } from './job-state.js'
import type { JsonValue } from './json.js'
import type { Logger } from './logger.js'

/** The result of a script that ran on a machine. Exactly one of `code` and `signal` is set. */
export interface RunResult {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: Buffer
  readonly stderr: Buffer
}

/** Bytes that go to or come from a machine. */
export type ByteSource = Uint8Array | string | AsyncIterable<Uint8Array>

/** A machine as a worker sees it: three verbs. Paths are absolute on the machine. */
export interface MachineAccess {
  readonly name: string
  /** Our directory there: 0700, on a local disk. Workers keep what they cache below `${stateDir}/cache/KIND`. */
  readonly stateDir: string
  /** Whether this is the controller's own host and file system. */
  readonly isLocal: boolean
  /**
   * Runs a POSIX sh script; resolves with its exit whatever it is. Nothing is interpolated: quote with `quote()`.
   * Throws TRANSPORT_LOST when the connection breaks, AbortError when aborted (and leaves no process behind).
   */
  run(script: string, options?: { stdin?: ByteSource; signal?: AbortSignal }): Promise<RunResult>
  /** Writes a file atomically with the given mode (0600 by default), creating parent directories 0700. */
  put(path: string, content: ByteSource, options?: { mode?: number; signal?: AbortSignal }): Promise<void>
  /** Streams a file from `offset` (0) to its present end. */
  get(path: string, options?: { offset?: number; signal?: AbortSignal }): AsyncIterable<Buffer>
}

/** The command of an attempt: argv (run without a shell) or a script for /bin/sh. */
export type Command = { readonly argv: readonly string[] } | { readonly script: string }

/** What the supervisor on the machine carries out. Plain data; secrets are not part of it. */
export interface LaunchPlan {
  /**
   * Our own steps that make the work directory ready (a checkout, say): a sh script run in the empty work directory with a
   * clean environment (PATH, HOME, LC_ALL=C and MUSTER_ATTEMPT_DIR), before `setup`. Failure: `setup-failed`.
   */
  readonly workspace?: string
  /** The user's setup command, run with the job's environment. Failure: `setup-failed`. */
  readonly setup?: Command
  readonly command: Command
  /** Below the work directory; `.` by default. The launcher refuses one that leaves it. */
  readonly cwd?: string
  readonly env: Readonly<Record<string, string>>
  /** Globs below the work directory, kept beside what lies in MUSTER_ARTIFACTS. */
  readonly artifacts: readonly string[]
}

/** A job as its worker sees it when it is about to run. */
export interface AssignedJob {
  readonly id: string
  readonly attempt: number
  /** What `resolve` returned at submit. */
  readonly payload: JsonValue
  readonly gpus: readonly string[]
}

/** How an attempt ended, with what it left. */
export interface AttemptExit {
  readonly job: AssignedJob
  readonly outcome: 'succeeded' | AttemptReason
  readonly exitCode: number | null
  readonly signal: string | null
  /** The bytes of MUSTER_RESULT, absent where the job wrote none. */
  readonly result?: Buffer
  /** The attempt's work directory on the machine. */
  readonly workDir: string
}

/** What accompanies a call into a worker. */
export interface WorkerContext {
  readonly signal: AbortSignal
  readonly logger: Logger
  /** Tells the person who waits what is going on; at most one line. */
  progress(text: string): void
}

/** A program that a machine may have, in a version that will do (git: 2.31 or newer). */
export type MachineTool = 'git'

/** A kind of dynamic executor, registered under a name with `registerWorker`. Methods may be called concurrently. */
export interface Worker {
  readonly kind: string
  /** Programs that a machine must have before a job of this worker is placed there; none by default. */
  readonly needs?: readonly MachineTool[]
  /**
   * Runs at submit, where the user is: validates the input and pins what may change (a ref becomes a commit), so that
   * nothing that happens to the source later matters. The returned payload is recorded. Throws typed errors.
   */
  resolve(input: JsonValue, context: WorkerContext): Promise<JsonValue>
  /** Runs where the leader is: sends what the machine lacks and returns the plan. A throw ends the attempt as launch-failed. */
  prepare(job: AssignedJob, machine: MachineAccess, context: WorkerContext): Promise<LaunchPlan>
  /** Turns what the job left into its result before the end is written. If it throws, the outcome stands and the result is a note. */
  collect(exit: AttemptExit, machine: MachineAccess, context: WorkerContext): Promise<JsonValue | undefined>
  /**
   * Optional: removes what this worker keeps between jobs and nobody needs any more. Called about once a day where the leader is: for
   * each machine that answers, and with null for the leader's own host. `needed` yields the payloads of the jobs that count on it: with
   * null all that have not ended, else those with an attempt on that machine. Runs beside all other calls; removes only what it
   * knows as its own. A throw is logged and harms nobody.
   */
  tidy?(machine: MachineAccess | null, needed: AsyncIterable<JsonValue>, context: WorkerContext): Promise<void>
}
