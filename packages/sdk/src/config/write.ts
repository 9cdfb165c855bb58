/**
 * Writes planned changes of configuration files. Invariant: all of them are written or all files are as they were; a file that
 * changed since the plan is not touched; nobody reads one half-written.
 */
import { MusterError } from '@muster/core'
import { mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readOwnFile } from './file.js'

/** A configuration file as it is and as it is to be. */
export interface FileChange {
  readonly path: string
  /** Undefined: there is no such file yet. */
  readonly before: string | undefined
  readonly after: string
  /** Of the file: 0600 of the user's own one. */
  readonly mode: number
}

/** Writes all of them, or none. Throws CONFIG_INVALID where one cannot be written or changed meanwhile. */
export async function writeChanges(changes: readonly FileChange[]): Promise<void> {
  const written: FileChange[] = []
  try {
    for (const change of changes) {
      if ((await readOwnFile(change.path)) !== change.before)
        throw new MusterError('CONFIG_INVALID', `${change.path} was changed meanwhile`, { hint: 'Run it again.' })
      await replace(change.path, change.after, change.mode)
      written.push(change)
    }
  } catch (error) {
    for (const { path, before, mode } of written.reverse())
      await (before === undefined ? rm(path, { force: true }) : replace(path, before, mode))
    throw error
  }
}

/** Through a link if it is one: the file that it names is the one that people edit. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const target = await realpath(path).catch(() => path)
    const temporary = `${target}.muster-${process.pid}`
    try {
      await using file = await open(temporary, 'wx', mode)
      await file.chmod(mode)
      await file.writeFile(text)
      await file.sync()
      await rename(temporary, target)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  } catch (error) {
    throw new MusterError('CONFIG_INVALID', `${path} cannot be written: ${String(error)}`, { cause: error })
  }
}
