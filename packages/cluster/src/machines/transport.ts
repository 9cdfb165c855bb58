/**
 * The Transport seam: how bytes and scripts reach one machine. Five members; the suite in @muster/testing says what each must
 * do. A transport knows nothing of jobs. A broken connection is TRANSPORT_LOST, never an exit code and never an end of output.
 */
import type { ByteSource, Closable, RunResult } from '@muster/core'
import type { Duplex } from 'node:stream'

/** A duplex stream of a remote command (its standard input and output) or of a unix socket. */
export type Target = { readonly command: string } | { readonly socket: string }

/** One machine, reached. Implementations: local, ssh. */
export interface Transport extends Closable {
  /** Runs a POSIX sh script with an environment of PATH, HOME and LC_ALL=C; short ones share one persistent shell. */
  run(
    script: string,
    options?: { stdin?: ByteSource | undefined; signal?: AbortSignal | undefined },
  ): Promise<RunResult>
  /** Writes atomically (temporary name, sync, rename), with parents 0700. Mode 0600 by default. */
  put(path: string, content: ByteSource, options?: { mode?: number; signal?: AbortSignal | undefined }): Promise<void>
  /** Streams from `offset` to the end that the file had when opened. */
  get(
    path: string,
    options?: { offset?: number; length?: number; signal?: AbortSignal | undefined },
  ): AsyncIterable<Buffer>
  open(target: Target, options?: { signal?: AbortSignal | undefined }): Promise<Duplex>
}
