/**
 * Brings one commit from its source into the mirror, with the user's own credentials and configuration, and pins it.
 * A snapshot needs the commit and its tree alone, so that is all that is asked for: a large history costs nothing, and a
 * partial clone has to be filled for that tree only.
 */
import { MusterError, isMusterError, type Clock, type WorkerContext } from '@muster/core'
import { errno } from './errno.js'
import { fillPartialClone, promisorRemote } from './fill.js'
import { FETCH_FSCK } from './fsck.js'
import { runGit, type GitCall } from './git.js'
import { redact } from './git-errors.js'
import type { History, Origin } from './input.js'
import { holds, keepRef, syncMirror, withMirror, type Mirror } from './mirror.js'
import { repackIfMany } from './tidy.js'
import type { Turns } from './turns.js'

/** What a fetch needs besides what to fetch. */
export interface FetchContext extends Pick<WorkerContext, 'signal' | 'progress'> {
  readonly clock: Clock
  /** A fetch that says nothing for so long is ended, milliseconds. */
  readonly silenceMs: number
  readonly turns: Turns
}

/** Makes the mirror hold the commit. Throws MIRROR_UNUSABLE, REF_NOT_FOUND, REPO_NOT_FOUND, REPO_FOREIGN_OWNER, GIT_FAILED. */
export async function bring(mirror: Mirror, origin: Origin, commit: string, context: FetchContext): Promise<void> {
  if (await holds(mirror, commit, context.clock)) return
  const fetchAndPin = async (): Promise<void> => {
    // Whoever was before us, here or in another process, may have brought it.
    if (await holds(mirror, commit, context.clock)) return
    context.progress(`bringing commit ${commit.slice(0, 12)} from ${nameOf(origin)}`)
    await fetchOrFill(mirror, origin, commit, context)
    if (!(await holds(mirror, commit, context.clock))) throw shallowSource(origin)
    await syncMirror(mirror)
    await repackIfMany(mirror.directory, plain(context))
  }
  const taken = context.turns.take(mirror.directory, () => withMirror(mirror, plain(context), fetchAndPin))
  await taken.catch((error: unknown) => {
    if (isMusterError(error) || errno(error) === undefined) throw error
    throw new MusterError('MIRROR_UNUSABLE', `no commit can be pinned in ${mirror.directory}: ${String(error)}`, {
      cause: error,
    })
  })
}

const plain = ({ signal, clock }: FetchContext): { signal: AbortSignal; clock: Clock } => ({ signal, clock })

async function fetchOrFill(mirror: Mirror, origin: Origin, commit: string, context: FetchContext): Promise<void> {
  try {
    await fetchCommit(mirror, origin, commit, context)
  } catch (error) {
    if (origin.kind !== 'path' || !isMusterError(error) || context.signal.aborted) throw error
    const remote = await promisorRemote(origin.gitDirectory, plain(context))
    if (remote === undefined) throw error
    context.progress(`${nameOf(origin)} is a partial clone: filling it from its remote ${remote}`)
    const wanted = mirror.history === 'full' ? commit : `${commit}^{tree}`
    await fillPartialClone(origin.gitDirectory, remote, wanted, callFor(context, 'https:ssh:file'))
    await fetchCommit(mirror, origin, commit, context)
  }
}

async function fetchCommit(mirror: Mirror, origin: Origin, commit: string, context: FetchContext): Promise<void> {
  const local = origin.kind === 'path'
  const args = [
    `--git-dir=${mirror.directory}`,
    '-c',
    'core.fsync=all',
    ...FETCH_CONFIGURATION,
    'fetch',
    '--progress',
    ...fetchOptions(mirror.history),
    // From our own disk bytes are cheap and searching for deltas is not.
    ...(local ? ['--upload-pack=git -c pack.window=0 upload-pack'] : []),
    '--',
    local ? origin.gitDirectory : origin.url,
    `+${commit}:${keepRef(commit)}`,
  ]
  await runGit(args, callFor(context, local ? 'file' : 'https:ssh'))
}

/** For every fetch into a mirror, here or on a machine, before the command: whatever the user configured for fetches elsewhere. */
export const FETCH_CONFIGURATION: readonly string[] = [
  ...['gc.auto=0', 'maintenance.auto=false', 'core.hooksPath=/dev/null', 'protocol.version=2'],
  // Whatever the user shares, nobody else reads what jobs run.
  'core.sharedRepository=umask',
  // Packs, never loose objects: their number is what the repack bounds.
  ...['fetch.unpackLimit=1', 'fetch.writeCommitGraph=false', 'transfer.bundleURI=false'],
]
  .flatMap((setting) => ['-c', setting])
  .concat(FETCH_FSCK)

/** For every fetch into a mirror, behind the command. */
export function fetchOptions(history: History): readonly string[] {
  const cut = history === 'snapshot' ? ['--depth=1', '--update-shallow'] : []
  return ['--no-tags', '--no-write-fetch-head', '--no-prune', '--recurse-submodules=no', ...cut]
}

function callFor(context: FetchContext, protocols: NonNullable<GitCall['protocols']>): GitCall {
  const { signal, clock, silenceMs, progress } = context
  let lastToldAt = clock.monotonic()
  const onLine = (line: string): void => {
    if (!/^(remote: )?[A-Z][a-z]+ [a-z]+: +\d+%/.test(line) || clock.monotonic() - lastToldAt < 1_000) return
    lastToldAt = clock.monotonic()
    progress(`git: ${redact(line)}`)
  }
  return { config: 'user', protocols, signal, clock, silenceMs, onLine }
}

/** The source for people. */
export function nameOf(origin: Origin): string {
  return origin.kind === 'url' ? origin.url : origin.path
}

/** A fetch of whole history from a shallow clone ends well and brings nothing: only the missing ref tells. */
function shallowSource(origin: Origin): MusterError {
  return new MusterError('GIT_FAILED', `${nameOf(origin)} is a shallow clone: the history of the commit is not there`, {
    hint: "Run git fetch --unshallow in it, or ask for history 'snapshot'.",
  })
}
