/**
 * Reads one configuration file: only if it is ours and nobody else may write it, only as data, and every complaint names
 * file and line. What it cannot mean it refuses; nothing is guessed.
 */
import { MusterError } from '@muster/core'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { invalid, type Scope } from './fault.js'
import type { Config } from './schema.js'

const MAX_BYTES = 1024 * 1024

/** The configuration in `path`, or undefined where there is no such file. Throws CONFIG_UNSAFE, CONFIG_INVALID. */
export async function readConfig(path: string, scope: Scope): Promise<Config | undefined> {
  const text = await readOwnFile(path)
  if (text === undefined) return undefined
  // Loaded only where there is a file: most runs have none, and open() is to be quick.
  return (await import('./parse.js')).parseConfig(path, text, scope)
}

/** The text of a file that nobody but its owner, who is us, can have written. */
export async function readOwnFile(path: string): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined
    throw new MusterError('CONFIG_INVALID', `${path} cannot be read: ${String(error)}`, { cause: error })
  })
  if (!file) return undefined
  try {
    const facts = await file.stat()
    if (!facts.isFile()) throw invalid(path, 'is not a file')
    if (facts.size > MAX_BYTES) throw invalid(path, `has ${facts.size} bytes; a configuration has at most ${MAX_BYTES}`)
    if (facts.uid !== process.getuid?.())
      throw new MusterError('CONFIG_UNSAFE', `${path} belongs to another user (uid ${facts.uid})`, {
        hint: `Copy it to a file of your own, or run elsewhere: cp ${path} ${path}.mine && mv ${path}.mine ${path}`,
      })
    if ((facts.mode & 0o022) !== 0)
      throw new MusterError(
        'CONFIG_UNSAFE',
        `${path} can be written by others (mode ${(facts.mode & 0o777).toString(8)})`,
        {
          hint: `Own it yourself and run: chmod go-w ${path}`,
        },
      )
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
