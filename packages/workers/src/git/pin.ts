/** Makes a commit of a ref, and keeps it: the two halves of `resolve`. */
import { MusterError, isMusterError } from '@muster/core'
import { resolve as absolutePath } from 'node:path'
import { bring, type FetchContext } from './fetch.js'
import { runGit } from './git.js'
import { wholeHash, type History, type ObjectFormat, type Origin, type Payload } from './input.js'
import { mirrorOf } from './mirror.js'
import { checkRef, type Source } from './source.js'

/** The part of a payload that pinning decides. */
type Pinned = Pick<Payload, 'origin' | 'commit' | 'objectFormat' | 'mirror'>

/** What pinning needs to know of its surroundings. */
export interface PinPlace {
  readonly host: string
  /** The worker's mirrors directory. */
  readonly mirrors: string
  readonly history: History
}

interface Found {
  readonly origin: Origin
  readonly commit: string
  readonly objectFormat: ObjectFormat
}

/** Resolves the ref and makes a mirror keep its commit. A commit that is kept already costs one look at a file. */
export async function pin(source: Source, ref: string, place: PinPlace, context: FetchContext): Promise<Pinned> {
  checkRef(ref, source)
  const found =
    source.kind === 'path'
      ? await findLocal(source.path, ref, place.host, context)
      : await findRemote(source.url, ref, context)
  const mirror = mirrorOf(place.mirrors, found.origin, found.objectFormat, place.history)
  await bring(mirror, found.origin, found.commit, context)
  return { ...found, mirror: mirror.id }
}

/** One git call finds format, repository and commit of a local ref, and refuses a repository of another user. */
async function findLocal(written: string, ref: string, host: string, context: FetchContext): Promise<Found> {
  const path = absolutePath(written)
  const args = [
    ...['-C', path, 'rev-parse', '-q', '--show-object-format', '--path-format=absolute', '--git-common-dir'],
    ...['--verify', '--end-of-options', `${ref}^{commit}`],
  ]
  const call = { config: 'user', answers: [1], signal: context.signal, clock: context.clock } as const
  const { code, stdout } = await runGit(args, call).catch(async (error: unknown) => {
    // Of a ref that is no commit it says nothing, of all else what is wrong.
    const silent = isMusterError(error, 'GIT_FAILED') && error.details['said'] === ''
    throw silent ? await noSuchRef(path, ref, context) : error
  })
  // The path may hold line breaks; what is before and behind it cannot.
  const lines = stdout.trimEnd().split('\n')
  const commit = lines.at(-1) ?? ''
  const objectFormat = wholeHash(commit)
  if (code !== 0 || objectFormat === undefined) throw await noSuchRef(path, ref, context)
  return { origin: { kind: 'path', host, path, gitDirectory: lines.slice(1, -1).join('\n') }, commit, objectFormat }
}

async function noSuchRef(path: string, ref: string, { signal, clock }: FetchContext): Promise<MusterError> {
  const any = ['-C', path, 'rev-list', '-n', '1', '--all', 'HEAD', '--']
  const { stdout } = await runGit(any, { config: 'user', answers: [128], signal, clock })
  const why = stdout === '' ? 'has no commit yet' : `has no commit ${ref}`
  return new MusterError('REF_NOT_FOUND', `${path} ${why}`, {
    hint: stdout === '' ? 'Commit something first.' : `See what there is with: git log --oneline --all`,
  })
}

/** A whole hash that is kept needs no network; otherwise the server says what the ref means. */
async function findRemote(url: string, ref: string, context: FetchContext): Promise<Found> {
  const origin: Origin = { kind: 'url', url }
  const format = wholeHash(ref)
  if (format !== undefined) return { origin, commit: ref, objectFormat: format }
  context.progress(`asking ${url} for ${ref}`)
  const names = ref === 'HEAD' || ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`]
  const patterns = names.flatMap((name) => [name, `${name}^{}`])
  const { stdout } = await runGit(['ls-remote', '-q', '--', url, ...patterns], {
    config: 'user',
    protocols: 'https:ssh',
    signal: context.signal,
    clock: context.clock,
    silenceMs: context.silenceMs,
  })
  const tips = new Map(stdout.split('\n').map((line) => line.split('\t').reverse() as [string, string]))
  // A branch before a tag of that name; of an annotated tag what it points to.
  const commit = names.map((name) => tips.get(`${name}^{}`) ?? tips.get(name)).find((tip) => tip !== undefined)
  const objectFormat = commit === undefined ? undefined : wholeHash(commit)
  if (commit !== undefined && objectFormat !== undefined) return { origin, commit, objectFormat }
  throw new MusterError('REF_NOT_FOUND', `${url} has no branch or tag ${ref}`, {
    hint: `Give a branch, a tag or a whole commit hash; list them with: git ls-remote ${url}`,
  })
}
