/**
 * One error class and one table: every failure that leaves a package is a {@link MusterError} whose code stands here.
 * docs/errors.md is generated from this table. To add one: a line here, then `npm run docs`.
 *
 * Invariant: messages and hints never contain a secret's value, a password or a token.
 */

interface ErrorRow {
  /** What happened, for docs/errors.md. The message of one error says it with names and figures. */
  readonly meaning: string
  /** What the reader can do about it. */
  readonly hint: string
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable: boolean
}

const row = (meaning: string, hint: string, retryable = false): ErrorRow => ({ meaning, hint, retryable })

/** Every error code of muster with its meaning, default hint and whether a retry can help. */
export const ERRORS = {
  // arguments and configuration
  INVALID_ARGUMENT: row('An argument is not what the call takes.', 'The message names the field and what it expects.'),
  CONFIG_INVALID: row('The configuration cannot be used.', 'Correct the key or line that the message names.'),
  CONFIG_UNSAFE: row('The configuration file could be changed by others.', 'Own it yourself and run: chmod go-w FILE'),
  UNKNOWN_WORKER: row(
    'No worker of that name is registered.',
    'Register it with cluster.registerWorker(name, worker).',
  ),
  UNKNOWN_MACHINE: row('No machine of that name is configured.', 'See the names with: muster machines'),
  // jobs
  JOB_NOT_FOUND: row('The record holds no such job.', 'List jobs with: muster ps --all'),
  JOB_STATE_CONFLICT: row(
    'The job is no longer in the state that this change expects.',
    'Read the job again; somebody else was first.',
  ),
  ILLEGAL_TRANSITION: row('The state table has no such transition.', 'docs/job-states.md shows what is possible.'),
  UNPLACEABLE: row(
    'No configured machine could ever run the job.',
    'Ask for less, or configure a machine that has it.',
  ),
  KEY_CONFLICT: row('Another request already uses this key.', 'Use another key, or submit exactly the same request.'),
  MANAGED_BY_CLUSTER: row('The job belongs to a cluster, which alone reports its status.', 'Use cancel or restart.'),
  NAME_CONFLICT: row('The name already belongs to another job.', 'Register under another name.'),
  ATTEMPT_UNCONFIRMED: row(
    'An earlier attempt of the job has not been confirmed gone.',
    'Wait for its machine, or force the restart.',
  ),
  ATTEMPT_SUPERSEDED: row(
    'A report came from an attempt that is not the current one.',
    'It was kept as an event; nothing else changed.',
  ),
  JOB_FAILED: row('The job ended as failed.', 'Read its lines with: muster logs ID'),
  JOB_CANCELLED: row('The job was cancelled.', 'Run it again with: muster restart ID'),
  FILE_ELSEWHERE: row('A collected file lies on another host.', 'Read it there, or share the files directory.'),
  FILE_MISSING: row(
    'A collected file that the record names is not there.',
    'It was removed by hand, or the files directory is another one.',
  ),
  // the record
  STORE_NOT_FOUND: row(
    'The record cannot be opened: its directory is missing.',
    'Create the directory, or correct `store:`.',
  ),
  STORE_READ_ONLY: row('The record cannot be written.', 'Make the file and its directory writable for you.'),
  STORE_FULL: row('The disk of the record is full.', 'Make room; the call can then be repeated.', true),
  STORE_BUSY: row(
    'The record stayed locked by another process for too long.',
    'Try again; find who holds it if it lasts.',
    true,
  ),
  STORE_REPLACED: row(
    'The file of the record was deleted or replaced while it was open.',
    'Close and open again, after a look at who did it.',
  ),
  STORE_CORRUPT: row(
    'The file is not a record of muster, or it is damaged.',
    'Restore it from a backup, or correct `store:`.',
  ),
  STORE_ON_NETWORK_FS: row('SQLite would lose data on a network file system.', 'Keep the record on a local disk.'),
  STORE_SCHEMA_NEWER: row('A newer muster wrote this record.', 'Update muster on this host.'),
  STORE_CLOSED: row('The record was closed.', 'Open it again.'),
  STORE_FAILED: row('The record refused an operation.', 'The cause says why.'),
  SCHEDULER_SUPERSEDED: row(
    'Another process leads this record now.',
    'Nothing to do: the new leader has adopted the work.',
  ),
  NOBODY_SCHEDULES: row('Nobody schedules this record, so the job waits.', 'Start a controller with: muster up', true),
  // queues
  QUEUE_FULL: row('The queue is at its length limit.', 'Publish again when consumers have caught up.', true),
  PUBLISH_INCOMPLETE: row(
    'Some messages of a batch were not accepted; the others are in.',
    'details.failures names them by index; publish those again.',
  ),
  MESSAGE_TOO_LARGE: row('The message is larger than the limit.', 'Send a reference to the data instead.'),
  LEASE_LOST: row('The delivery is no longer held: its lease ran out.', 'Another consumer has it; extend earlier.'),
  ALREADY_SETTLED: row('The delivery was settled before.', 'Settle each delivery once.'),
  SETTLE_UNCONFIRMED: row(
    'The connection broke before the settlement was confirmed.',
    'The message may be delivered again.',
    true,
  ),
  DELIVERY_CANCELLED: row(
    'The consumer was told to stop at once.',
    'Nothing to do: what its handler then fails at goes back uncounted.',
  ),
  HANDLER_TIMEOUT: row(
    'A handler took longer than its timeoutMs.',
    'The message is retried later; allow more time, or do less per message.',
  ),
  CONSUMER_CLOSED: row(
    'The consumer was closed, and its handlers had their time to end.',
    'Nothing to do: what a handler then fails at goes back uncounted.',
  ),
  UNSUPPORTED_BY_BACKEND: row(
    'The backend does not offer this.',
    'Ask its capabilities first, or choose another backend.',
  ),
  BACKEND_UNAVAILABLE: row('The queue backend cannot be reached.', 'Start it, or correct `backend:`.', true),
  CLIENT_MISSING: row(
    "The library that talks to the backend's server is not installed.",
    'Install the package that the message names, beside muster.',
  ),
  BACKEND_CLOSED: row('The queue backend was closed.', 'Open it again.'),
  // machines and launches
  TRANSPORT_LOST: row(
    'The connection to the machine broke.',
    'muster reconnects by itself; the job is not affected.',
    true,
  ),
  TRANSPORT_CLOSED: row('The connection to the machine was closed by us.', 'Open it again.'),
  TRANSPORT_UNSUPPORTED: row(
    'This platform cannot be a machine by itself.',
    'Add a Linux machine that you reach over SSH.',
  ),
  SSH_CONNECT_FAILED: row(
    'No SSH connection to the machine came about.',
    'Try the same with ssh itself; the message says how far it got.',
    true,
  ),
  SSH_AUTH_FAILED: row(
    'The machine accepted none of our keys or passwords.',
    'Check the user name, and that the key is in ~/.ssh/authorized_keys there.',
  ),
  SSH_SESSION_REFUSED: row(
    'The machine refused another session on the connection.',
    'Raise MaxSessions in its sshd_config, or follow fewer logs at once.',
    true,
  ),
  SSH_CONFIG_INVALID: row(
    'Something that the SSH connection needs on this side cannot be used.',
    'The message names the file or the setting.',
  ),
  HOST_KEY_UNKNOWN: row(
    "The machine's host key is not known.",
    'Compare the fingerprint with the one on the machine, then add it with: muster machines add, or: ssh-keyscan',
  ),
  HOST_KEY_CHANGED: row(
    'The machine showed another host key than the one that is known: somebody may be listening in.',
    'Find out why it changed before you remove the old key from known_hosts.',
  ),
  HOST_KEY_REVOKED: row('The host key of the machine is marked as revoked.', 'Do not connect; ask who revoked it.'),
  MACHINE_DRAINED: row(
    'The machine was drained: nothing new is placed on it.',
    'Take it into use again with: muster machines resume NAME',
  ),
  QUEUE_PAUSED: row(
    'The queue of jobs was paused: nothing of it is placed.',
    'Let it go on with: muster queue resume NAME',
  ),
  MACHINE_UNUSABLE: row(
    'The machine lacks something that muster needs.',
    'Run the line that the message shows, then try again.',
  ),
  STATE_DIR_UNSAFE: row(
    "The machine's state directory cannot be trusted.",
    'It must be yours, mode 0700, on a local disk, and no link.',
  ),
  LAUNCH_FAILED: row(
    'The attempt could not be started on the machine.',
    'The message holds what the machine said.',
    true,
  ),
  ATTEMPT_RUNNING: row('The attempt still runs on its machine.', 'Stop it first; its directory was left alone.'),
  SECRET_UNRESOLVED: row(
    'A secret that the job refers to cannot be read here.',
    'Set the variable or file where the leader runs.',
    true,
  ),
  RESULT_INVALID: row(
    'What the job wrote to MUSTER_RESULT is no usable result.',
    'Write one JSON value of at most 64 MiB.',
  ),
  // git
  GIT_MISSING: row('git is not installed, or too old.', 'Install git 2.31 or newer.'),
  GIT_FAILED: row('git refused an operation.', 'The message holds what git said.'),
  REPO_NOT_FOUND: row(
    'There is no such repository, or it cannot be read.',
    'Check the path or URL and your access to it.',
  ),
  REPO_FOREIGN_OWNER: row('The repository belongs to another user.', 'Allow it with the line that the message shows.'),
  REPO_UNSAFE: row('The repository URL is refused.', 'Use https, ssh or a local path, without a password in it.'),
  REF_NOT_FOUND: row('The repository has no such ref or commit.', 'List refs with: git ls-remote REPO'),
  MIRROR_UNUSABLE: row(
    'The directory where commits are pinned cannot be written.',
    'Make it writable for you, and make room on its disk.',
  ),
  COMMIT_UNAVAILABLE: row(
    'The commit is not in its mirror any more, and its source does not give it again.',
    'Put the repository back where it was, or submit again.',
  ),
  REF_INVALID: row('This cannot be the name of a ref.', 'Use a branch, a tag or a commit hash.'),
} as const satisfies Record<string, ErrorRow>

/** A code of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS

/** What may accompany an error beside its code and message. */
export interface ErrorOptions {
  /** Replaces the table's hint where this case has a better one. */
  readonly hint?: string
  /** Replaces the table's verdict where this case differs. */
  readonly retryable?: boolean
  /** Facts for programs: plain data, no secrets. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** The error of every muster package. Compare `code`, never the message; `instanceof` fails across two installed copies. */
export class MusterError extends Error {
  override readonly name: string = 'MusterError'
  readonly code: ErrorCode
  readonly hint: string
  readonly retryable: boolean
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const entry: ErrorRow = ERRORS[code]
    this.code = code
    this.hint = options.hint ?? entry.hint
    this.retryable = options.retryable ?? entry.retryable
    this.details = options.details ?? {}
  }

  /** The error as plain data, for `--json` and for crossing a thread. */
  toJSON(): {
    code: ErrorCode
    message: string
    hint: string
    retryable: boolean
    details: Readonly<Record<string, unknown>>
  } {
    return { code: this.code, message: this.message, hint: this.hint, retryable: this.retryable, details: this.details }
  }
}

/** Whether `error` is a muster error (of this or another installed copy), optionally one with the given code. */
export function isMusterError(error: unknown, code?: ErrorCode): error is MusterError {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false
  return Object.hasOwn(ERRORS, error.code) && 'hint' in error && (code === undefined || error.code === code)
}
