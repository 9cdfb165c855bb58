/**
 * The Launcher seam: attempts on one machine. Eight members; the suite in @muster/testing says what each must do. Idempotent by
 * key: whatever is interrupted may be called again. The machine's word is evidence; silence (a throw) is none.
 */
import type { AttemptReason, Command, LaunchPlan } from '@muster/core'

/** Names one attempt on a machine. The token proves that a report belongs to it. */
export interface AttemptKey {
  readonly jobId: string
  readonly attempt: number
  readonly token: string
}

/** All that a start needs. Secrets travel on standard input and never touch argv, plan or log. */
export interface StartRequest {
  readonly key: AttemptKey
  readonly recordId: string
  /** The leader's epoch: refused with SCHEDULER_SUPERSEDED when the machine has seen a higher one of this record (see `list`). */
  readonly epoch: number
  readonly plan: LaunchPlan
  readonly secrets: Readonly<Record<string, string>>
  readonly gpus: readonly string[]
  readonly timeoutMs?: number
  readonly graceMs: number
  /** Bytes of log kept; what exceeds it is dropped after a marker line. Default 1 GiB. */
  readonly logBytes?: number
}

/** How a machine is equipped. Sizes in bytes. */
export interface Probe {
  readonly os: string
  readonly arch: string
  readonly cpus: number
  readonly memoryBytes: number
  /** Of the state directory; `fileSystem` as the kernel's list of mounts names its type. */
  readonly disk: { readonly path: string; readonly freeBytes: number | null; readonly fileSystem: string }
  readonly gpus: readonly GpuProbe[]
  readonly gitVersion: string | null
  readonly shell: string
  readonly bootId: string
  /** Machine time minus our time, milliseconds. */
  readonly clockSkewMs: number
  /** Sessions that one connection may hold, once its transport has found out; null where there is no such limit, or not yet. */
  readonly maxSessions: number | null
  /** The best rung of the ladder that this machine offers. */
  readonly tree: string
  readonly stateDir: string
  readonly user: string
  readonly hostname: string
  /** What is missing, each with the line that mends it. */
  readonly problems: readonly { readonly text: string; readonly mend: string; readonly fatal: boolean }[]
}

/** A GPU of a machine, always named by UUID. Null where the driver says it does not know. */
export interface GpuProbe {
  readonly uuid: string
  readonly model: string
  readonly memoryBytes: number | null
  readonly usedBytes: number | null
  /** Processes on it that are not of our attempts. */
  readonly strangers: readonly number[]
}

/** What `start` found. */
export type StartOutcome =
  /** It runs, or ran, under this key, by this call or an earlier one: since when and on which rung, as `inspect` says it. */
  | ({ readonly started: true } & Pick<RunFacts, 'startedAt' | 'tree'>)
  /** The claim was taken by a stop before anything started: nothing will run. */
  | { readonly started: false; readonly reason: 'stopped' }
  /** Another record's attempt on this machine holds one of these GPUs; the claim is closed as by a stop. */
  | { readonly started: false; readonly reason: 'gpu-taken'; readonly gpus: readonly string[] }

/** One attempt as its machine sees it. */
export type Observation =
  /** Nothing of that name is on the machine (never started, or removed). */
  | { readonly key: AttemptKey; readonly status: 'absent' }
  | ({ readonly key: AttemptKey; readonly status: 'running' } & RunFacts)
  | ({ readonly key: AttemptKey; readonly status: 'exited'; readonly exit: ExitRecord } & RunFacts)
  /** Its supervisor is dead and left no exit record: reboot or kill. `survivors` are processes of it still alive. */
  | ({
      readonly key: AttemptKey
      readonly status: 'gone'
      readonly reason: 'reboot' | 'supervisor-killed'
      readonly survivors: readonly number[]
    } & RunFacts)
  /** A directory of that name holds another token: not ours to judge. */
  | { readonly key: AttemptKey; readonly status: 'foreign' }

/** What is known of an attempt that began. */
export interface RunFacts {
  /** When the supervisor claimed it, by our clock, epoch milliseconds. */
  readonly startedAt: number | null
  /** cgroup | pidns | subreaper | marker | best-effort. */
  readonly tree: string
  readonly logBytes: number
  readonly progress: { readonly fraction: number; readonly message: string } | null
}

/** The machine's exit record. */
export interface ExitRecord {
  readonly outcome:
    | 'succeeded'
    | Extract<AttemptReason, 'exit' | 'signal' | 'oom' | 'timeout' | 'cancelled' | 'setup-failed' | 'launch-failed'>
    | 'never-started'
  readonly exitCode: number | null
  readonly signal: string | null
  /** 128 + n where the machine could not tell an exit from a signal. */
  readonly possiblySignal?: boolean
  /** By our clock, epoch milliseconds. */
  readonly endedAt: number
  readonly detail?: string
  /** Pids that survived KILL. */
  readonly stuck: readonly number[]
  /** It printed nothing and left neither result nor artifact: there is nothing to fetch. Absent where that is not known. */
  readonly leftNothing?: true
  /** Size of what was written to MUSTER_RESULT; its bytes are here up to 64 KiB, otherwise `fetch` brings them. */
  readonly result: { readonly bytes: number; readonly inline?: Buffer } | null
}

/** What `stop` achieved. */
export type StopOutcome =
  /** Nothing of it is left (or it had ended by itself); read the exit record by `inspect`. */
  { readonly left: 'nothing' } | { readonly left: 'stuck'; readonly pids: readonly number[] }

/** A piece of an attempt's log. */
export interface LogChunk {
  readonly bytes: Buffer
  /** The log's size when it was read: more may follow unless the attempt has ended and offset + bytes = size. */
  readonly size: number
}

/** An artifact brought here. */
export interface FetchedFile {
  readonly path: string
  readonly bytes: number
}

/** What a fetch brought, and what it refused with the reason. */
export interface FetchReport {
  readonly files: readonly FetchedFile[]
  readonly refused: readonly { readonly path: string; readonly reason: string }[]
}

/** Attempts on one machine. Throws TRANSPORT_LOST where the machine cannot be asked. */
export interface Launcher {
  probe(signal?: AbortSignal): Promise<Probe>
  /** Claims and starts in one round trip where the script is already there. Resolves when the machine confirmed. */
  start(request: StartRequest, signal?: AbortSignal): Promise<StartOutcome>
  /** All of them in one round trip, in the order asked. */
  inspect(keys: readonly AttemptKey[], signal?: AbortSignal): Promise<readonly Observation[]>
  /** TERM, grace, KILL of the whole tree; of one that never started: takes its claim. Resolves within grace + 1 s. */
  stop(
    key: AttemptKey,
    options: { graceMs: number; reason: 'cancelled' | 'timeout' },
    signal?: AbortSignal,
  ): Promise<StopOutcome>
  logs(key: AttemptKey, options: { offset: number; maxBytes: number }, signal?: AbortSignal): Promise<LogChunk>
  /**
   * Every attempt directory of this record on the machine, tokens included; what cannot be read is reported, never deleted.
   * With `epoch` (a new leader adopting) the machine first remembers it, so that a start by an older leader, however late it
   * arrives, is refused: only therefore may `remove` leave nothing behind.
   */
  list(
    recordId: string,
    epoch?: number,
    signal?: AbortSignal,
  ): Promise<readonly { readonly key: AttemptKey; readonly ok: boolean }[]>
  /**
   * Brings the log (`log`), the result (`result`) and the artifacts (`artifacts/…`) below `directory`, which must exist. Which
   * artifacts is what the plan of the attempt said: the start wrote its globs beside the plan on the machine.
   */
  fetch(
    key: AttemptKey,
    directory: string,
    options: { maxBytes: number; maxFiles: number },
    signal?: AbortSignal,
  ): Promise<FetchReport>
  /** Removes all of these attempts' directories; what still runs is left alone and throws ATTEMPT_RUNNING, its names (JOB.N) in `details.kept`. */
  remove(keys: readonly AttemptKey[], signal?: AbortSignal): Promise<void>
}

/**
 * Tells that some attempt on the machine changed (ended, most often), so that nobody has to poll fast. A hint: it may come
 * too often, and may be missing where the machine cannot offer it, so a slow poll stays.
 */
export interface LauncherHints {
  onHint(listener: HintListener): () => void
}

/** Called with the attempt that changed where the machine said which; without, any of them may have. */
export type HintListener = (attempt?: { readonly jobId: string; readonly attempt: number }) => void

/** A command line as words for people. */
export function commandText(command: Command): string {
  return 'script' in command ? command.script : command.argv.join(' ')
}
