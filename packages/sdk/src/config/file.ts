/**
 * Reads one configuration file: only if it is ours and nobody else may write it, only as data, and every complaint names
 * file and line. What it cannot mean it refuses; nothing is guessed.
 */
import { isMusterError, MusterError } from '@muster/core'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Document, LineCounter } from 'yaml'
import type { z } from 'zod'
import { didYouMean } from './did-you-mean.js'
import { refuseLaterVersions } from './later.js'
import { configSchema, knownKeys, type Config } from './schema.js'

const MAX_BYTES = 1024 * 1024

/** The configuration in `path`, or undefined where there is no such file. Throws CONFIG_UNSAFE, CONFIG_INVALID. */
export async function readConfig(path: string): Promise<Config | undefined> {
  const text = await readOwnFile(path)
  if (text === undefined) return undefined
  // Loaded only where there is a file: most runs have none, and open() is to be quick.
  const { LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) throw invalid(`${path}:${lines.linePos(fault.pos[0]).line}`, fault.message)
  return validate(path, document, lines)
}

/** The text of a file that nobody but its owner, who is us, can have written. */
async function readOwnFile(path: string): Promise<string | undefined> {
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

function validate(path: string, document: Document, lines: LineCounter): Config {
  const content: unknown = document.toJS({ maxAliasCount: 50 }) ?? {}
  const lineOf = (at: readonly PropertyKey[]): string => {
    const node: unknown = document.getIn(at, true)
    const ranged = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined
    const offset: unknown = Array.isArray(ranged) ? ranged[0] : undefined
    return typeof offset === 'number' ? `${path}:${lines.linePos(offset).line}` : path
  }
  refuseLaterVersions(content, (at, message) => invalid(lineOf(at), message))
  let parsed
  try {
    parsed = configSchema.safeParse(content)
  } catch (error) {
    if (!isMusterError(error)) throw error
    throw invalid(path, error.message)
  }
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (!issue) throw invalid(path, 'cannot be used')
  const [where, message] = complaint(issue)
  throw invalid(lineOf(where), message)
}

/** The path that a complaint is about, and its text. */
function complaint(issue: z.core.$ZodIssue): [readonly PropertyKey[], string] {
  const [unknown] = issue.code === 'unrecognized_keys' ? issue.keys : []
  if (unknown === undefined)
    return [issue.path, `${issue.path.length === 0 ? '' : `${issue.path.join('.')}: `}${issue.message}`]
  const known = knownKeys(issue.path)
  const meant = didYouMean(unknown, known)
  const help = meant === undefined ? `known are ${known.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`
  return [[...issue.path, unknown], `unknown key ${JSON.stringify([...issue.path, unknown].join('.'))}; ${help}`]
}

function invalid(where: string, message: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${where}: ${message.replaceAll(/\s+/g, ' ').trim()}`, {
    details: { where },
  })
}
