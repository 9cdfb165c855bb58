/**
 * A mirror: the controller's bare repository that holds the commits submitted from one source. Invariants: `refs/muster/keep/C`
 * is the only statement that C is here, written after its objects; no object is ever pruned, since work directories borrow (a
 * mirror that nobody uses goes as a whole: retention.ts).
 */
import { MusterError, type Clock } from '@muster/core'
import { createHash } from 'node:crypto'
import { lstat, mkdir, open, readFile, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { ifMissing } from './errno.js'
import { runGit } from './git.js'
import type { History, ObjectFormat, Origin } from './input.js'
import { withFileLock } from './lock.js'
import { removeLitter } from './tidy.js'

/** A mirror's name and place. Whether it exists is a question for {@link holds}. */
export interface Mirror {
  readonly id: string
  /** The bare repository. */
  readonly directory: string
  readonly objectFormat: ObjectFormat
  readonly history: History
}

/** The ref that pins a commit in a mirror, here or on a machine. */
export const keepRef = (commit: string): string => `refs/muster/keep/${commit}`

/** Names the mirror of a source. One per source, object format and kind of history, so that none of them constrains another. */
export function mirrorOf(root: string, origin: Origin, objectFormat: ObjectFormat, history: History): Mirror {
  const name = origin.kind === 'url' ? ['url', origin.url] : ['path', origin.host, origin.gitDirectory]
  const digest = createHash('sha256')
    .update(JSON.stringify([...name, objectFormat]))
    .digest('hex')
  return mirrorNamed(root, history === 'full' ? `${digest.slice(0, 32)}-full` : digest.slice(0, 32), objectFormat)
}

/** The mirror of that id, as a payload names it. */
export function mirrorNamed(root: string, id: string, objectFormat: ObjectFormat): Mirror {
  const history = id.endsWith('-full') ? 'full' : 'snapshot'
  return { id, directory: join(root, `${id}.git`), objectFormat, history }
}

/**
 * Whether the mirror has the commit; asking is a use of it, which the retention sees by the pin's age. One small file is touched and
 * read: no git, so that a warm launch costs nothing here.
 */
export async function holds({ directory }: Mirror, commit: string, clock: Clock): Promise<boolean> {
  const pin = join(directory, keepRef(commit))
  // In this order: whoever removes an old pin looks at its age once more when nobody can find it any more.
  await markUsed(pin, clock)
  const kept = await readFile(pin, 'utf8').catch(ifMissing(''))
  return kept.trim() === commit
}

/** Makes a file, if it is there, as old as this moment. */
export async function markUsed(path: string, clock: Clock): Promise<void> {
  const now = clock.now() / 1_000
  await utimes(path, now, now).catch(ifMissing(undefined))
}

/** Runs `work` while no other process writes to the mirror, which exists and is free of what killed writers left. */
export async function withMirror<T>(
  mirror: Mirror,
  options: { readonly clock: Clock; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  return withFileLock(`${mirror.directory}.lock`, options, async () => {
    await makeMirror(mirror, options)
    await checkOwner(mirror.directory)
    await removeLitter(mirror.directory, options.clock)
    return work()
  })
}

/**
 * Carries to the disk what git does not: the names of what a fetch wrote, and the list of cut-off commits. A submit answers
 * for the commit, too (P1).
 */
export async function syncMirror({ directory }: Mirror): Promise<void> {
  const names = ['shallow', 'refs/muster/keep', 'refs/muster', 'refs', 'objects/pack', 'objects', '.', '..']
  for (const name of names) {
    const file = await open(join(directory, name), 'r').catch(ifMissing(undefined))
    try {
      await file?.sync()
    } finally {
      await file?.close()
    }
  }
}

async function makeMirror(
  { directory, objectFormat }: Mirror,
  call: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  if ((await lstat(join(directory, 'HEAD')).catch(ifMissing(undefined))) !== undefined) return
  // Made beside and renamed: a mirror that can be seen is whole.
  const beside = `${directory}.new`
  await rm(beside, { recursive: true, force: true })
  await mkdir(beside, { recursive: true, mode: 0o700 })
  const format = `--object-format=${objectFormat}`
  await runGit(['init', '-q', '--bare', '--template=', format, '--', beside], { config: 'none', ...call })
  await rm(directory, { recursive: true, force: true })
  await rename(beside, directory)
}

async function checkOwner(directory: string): Promise<void> {
  const found = await lstat(directory)
  const me = process.geteuid?.()
  if (found.isDirectory() && (me === undefined || found.uid === me) && (found.mode & 0o022) === 0) return
  throw new MusterError('STATE_DIR_UNSAFE', `${directory} is not a directory of ours that nobody else can write to`)
}
