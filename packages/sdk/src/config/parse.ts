/** Reads the text of a configuration: only as data, and every complaint names file and line. What it cannot mean it refuses. */
import { isMusterError, MusterError } from '@muster/core'
import { LineCounter, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { didYouMean } from './did-you-mean.js'
import { invalid, type Scope } from './fault.js'
import { knownKeys, projectSchema, SSH_KEYS, userSchema, type Config } from './schema.js'

/** What the text of the file `path` says. Throws CONFIG_INVALID. */
export function parseConfig(path: string, text: string, scope: Scope): Config {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) throw invalid(`${path}:${lines.linePos(fault.pos[0]).line}`, fault.message)
  return validate(path, document, lines, scope)
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
