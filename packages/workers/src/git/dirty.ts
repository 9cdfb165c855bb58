/** What a git job does not carry: the changes that lie in a work tree beside its commits. */
import { isMusterError, systemClock, type Clock } from '@muster/core'
import { resolve } from 'node:path'
import { runGit } from './git.js'
import { parseSource } from './source.js'

/** Files that differ from the commit, and files that git does not know (directories of such count once). */
export interface Dirty {
  readonly changed: number
  readonly untracked: number
}

/**
 * Counts uncommitted changes of a local work tree, for one line to its user. Undefined where there is nothing to compare: a
 * URL, a bare repository, no repository. Runs neither hooks nor filters nor a file system monitor of that repository.
 */
export async function dirty(
  repo: string,
  options: { readonly signal?: AbortSignal; readonly clock?: Clock } = {},
): Promise<Dirty | undefined> {
  const source = parseSource(repo)
  if (source.kind === 'url') return undefined
  const { signal = new AbortController().signal, clock = systemClock } = options
  const call = { config: 'user', signal, clock } as const
  const at = ['-C', resolve(source.path)]
  try {
    const quiet = (await filterNames(at, call)).flatMap(disabled)
    const status = [
      'status',
      '--porcelain',
      '-z',
      '--no-renames',
      '--ignore-submodules=dirty',
      '--untracked-files=normal',
    ]
    const { stdout } = await runGit([...at, ...quiet, '-c', 'core.fsmonitor=false', ...status], call)
    const entries = stdout.split('\0').filter((entry) => entry !== '')
    const untracked = entries.filter((entry) => entry.startsWith('??')).length
    return { changed: entries.length - untracked, untracked }
  } catch (error) {
    // No work tree, no repository, not ours: the submit itself says which.
    if (isMusterError(error) && error.code !== 'GIT_MISSING') return undefined
    throw error
  }
}

async function filterNames(at: readonly string[], call: Parameters<typeof runGit>[1]): Promise<string[]> {
  const args = [...at, 'config', '-z', '--name-only', '--get-regexp', '^filter\\.']
  const { stdout } = await runGit(args, { ...call, answers: [1] })
  const names = stdout.split('\0').flatMap((key) => /^filter\.(.+)\.[^.]+$/s.exec(key)?.[1] ?? [])
  return [...new Set(names)]
}

function disabled(filter: string): string[] {
  return ['clean=', 'process=', 'required=false'].flatMap((setting) => ['-c', `filter.${filter}.${setting}`])
}
