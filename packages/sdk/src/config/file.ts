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
import { knownKeys, projectSchema, SSH_KEYS, userSchema, type Config } from './schema.js'

const MAX_BYTES = 1024 * 1024

/** Whose file it is: a project's may come with a repository, so it may say less; `userFile` is where the rest belongs. */
export type Scope = { readonly of: 'user' } | { readonly of: 'project'; readonly userFile: string }

/** The configuration in `path`, or undefined where there is no such file. Throws CONFIG_UNSAFE, CONFIG_INVALID. */
export async function readConfig(path: string, scope: Scope): Promise<Config | undefined> {
  const text = await readOwnFile(path)
  if (text === undefined) return undefined
  // Loaded only where there is a file: most runs have none, and open() is to be quick.
  const { LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) throw invalid(`${path}:${lines.linePos(fault.pos[0]).line}`, fault.message)
  return validate(path, document, lines, scope)
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

function validate(path: string, document: Document, lines: LineCounter, scope: Scope): Config {
  const content: unknown = document.toJS({ maxAliasCount: 50 }) ?? {}
  const lineOf = (at: readonly PropertyKey[]): string => {
    const node: unknown = document.getIn(at, true)
    const ranged = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined
    const offset: unknown = Array.isArray(ranged) ? ranged[0] : undefined
    return typeof offset === 'number' ? `${path}:${lines.linePos(offset).line}` : path
  }
  const schema = scope.of === 'user' ? userSchema : projectSchema
  let parsed
  try {
    parsed = schema.safeParse(content)
  } catch (error) {
    if (!isMusterError(error)) throw error
    throw invalid(path, error.message)
  }
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (!issue) throw invalid(path, 'cannot be used')
  const personal = personalKey(issue)
  if (personal) throw misplaced(lineOf(personal), personal, scope)
  const [where, message] = complaint(issue, schema)
  throw invalid(lineOf(where), message)
}

/** The path of a key that says how SSH proves itself or whom it trusts, where a machine or a project may not say it. */
function personalKey(issue: z.core.$ZodIssue): readonly PropertyKey[] | undefined {
  if (issue.code !== 'unrecognized_keys') return undefined
  const known = issue.path.length === 0 ? ['ssh'] : issue.path[0] === 'machines' ? [...SSH_KEYS, 'knownHosts'] : []
  const key = issue.keys.find((name) => known.includes(name))
  return key === undefined ? undefined : [...issue.path, key]
}

function misplaced(where: string, at: readonly PropertyKey[], scope: Scope): MusterError {
  const key = String(at.at(-1))
  const example = key === 'ssh' ? 'ssh: { NAME: { … } }' : `ssh: { NAME: { ${key}: … } }`
  const message =
    scope.of === 'user'
      ? `${at.join('.')} belongs below ssh, under the machine's name`
      : `${at.join('.')} is not for a project's file to say: a repository may bring one`
  const file = scope.of === 'user' ? 'it' : scope.userFile
  return new MusterError('CONFIG_INVALID', `${where}: ${message}`, {
    hint: `Write it into ${file}, under the name of the machine or its host: ${example}`,
    details: { where },
  })
}

/** The path that a complaint is about, and its text. */
function complaint(issue: z.core.$ZodIssue, schema: z.ZodObject): [readonly PropertyKey[], string] {
  const [unknown] = issue.code === 'unrecognized_keys' ? issue.keys : []
  if (unknown === undefined)
    return [issue.path, `${issue.path.length === 0 ? '' : `${issue.path.join('.')}: `}${issue.message}`]
  const known = knownKeys(issue.path, schema)
  const meant = didYouMean(unknown, known)
  const help = meant === undefined ? `known are ${known.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`
  return [[...issue.path, unknown], `unknown key ${JSON.stringify([...issue.path, unknown].join('.'))}; ${help}`]
}

function invalid(where: string, message: string): MusterError {
  return new MusterError('CONFIG_INVALID', `${where}: ${message.replaceAll(/\s+/g, ' ').trim()}`, {
    details: { where },
  })
}
