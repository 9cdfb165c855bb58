/**
 * Partial clones: git refuses to serve a commit whose objects it does not have, so they are fetched into the source first,
 * in one batch, as the user's own git would have done one by one.
 */
import type { Clock } from '@muster/core'
import { runGit, type GitCall } from './git.js'

/** The remote that a partial clone gets its objects from, undefined where the repository is whole. */
export async function promisorRemote(
  gitDirectory: string,
  call: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<string | undefined> {
  const args = ['-C', gitDirectory, 'config', '-z', '--get-regexp', '^remote\\..*\\.promisor$', '^(true|yes|on|1)$']
  const { stdout } = await runGit(args, { config: 'user', answers: [1], ...call })
  const key = stdout.split(/[\n\0]/, 1)[0] ?? ''
  return /^remote\.(.+)\.promisor$/.exec(key)?.[1]
}

/** Fetches every missing object that `wanted` (a commit with its history, or a tree) leads to. */
export async function fillPartialClone(
  gitDirectory: string,
  remote: string,
  wanted: string,
  call: GitCall,
): Promise<void> {
  const list = ['-C', gitDirectory, 'rev-list', '--objects', '--missing=print', '--end-of-options', wanted]
  const { stdout } = await runGit(list, { ...call, protocols: 'https:ssh' })
  const missing = stdout.split('\n').filter((line) => line.startsWith('?'))
  if (missing.length === 0) return
  const fetch = [
    ...[
      '-C',
      gitDirectory,
      '-c',
      'fetch.negotiationAlgorithm=noop',
      '-c',
      'core.hooksPath=/dev/null',
      '-c',
      'gc.auto=0',
    ],
    ...['fetch', '--progress', '--no-tags', '--no-write-fetch-head', '--recurse-submodules=no', '--filter=blob:none'],
    ...['--stdin', '--', remote],
  ]
  await runGit(fetch, { ...call, stdin: missing.map((line) => `${line.slice(1)}\n`).join('') })
}
