/** Keeps a mirror small and usable: removes what killed writers left, and packs many packs into few. Never prunes an object. */
import type { Clock } from '@muster/core'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ifMissing } from './errno.js'
import { runGit } from './git.js'

/** Packs that are read without visible cost, here and on machines; a repack beyond pays for itself. */
export const MAX_PACKS = 50
const TEMPORARY_AGE_MS = 3_600_000

/** Removes locks and old temporary files. Only under the mirror's lock: then no git of ours is alive to own them. */
export async function removeLitter(directory: string, clock: Clock): Promise<void> {
  const locks = [
    ...(await entries(directory)).filter((path) => path.endsWith('.lock')),
    ...(await entries(join(directory, 'refs/muster/keep'))).filter((path) => path.endsWith('.lock')),
  ]
  const temporary = (await entries(join(directory, 'objects/pack'))).filter((path) => /\/\.?tmp_[^/]*$/.test(path))
  const unclaimed = (await entries(`${directory}.lock`)).filter((path) => /\/new-[^/]*$/.test(path))
  const old = await Promise.all(
    [...temporary, ...unclaimed].map((path) => isOlder(path, clock.now() - TEMPORARY_AGE_MS)),
  )
  const litter = [...locks, ...[...temporary, ...unclaimed].filter((_, index) => old[index])]
  await Promise.all(litter.map((path) => rm(path, { force: true })))
}

/** Packs geometrically where there are many packs: safe for borrowers, and cheap since large packs are left alone. */
export async function repackIfMany(directory: string, call: { clock: Clock; signal: AbortSignal }): Promise<void> {
  const packs = (await entries(join(directory, 'objects/pack'))).filter((path) => path.endsWith('.pack'))
  if (packs.length <= MAX_PACKS) return
  await runGit([`--git-dir=${directory}`, 'repack', '-q', '-d', '--geometric=2'], { config: 'none', ...call })
}

async function entries(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(ifMissing([]))).map((name) => join(directory, name))
}

/** Whether there is such a file, last changed before that moment (epoch milliseconds). */
export async function isOlder(path: string, than: number): Promise<boolean> {
  const found = await stat(path).catch(ifMissing(undefined))
  return found !== undefined && found.mtimeMs < than
}
