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
  if (fault) throw invalid(`${path}:${lines.linePos(fault.pos[0]).line}`, faultText(fault))
  return validate(path, document, lines, scope)
}

function validate(path: string, document: Document, lines: LineCounter, scope: Scope): Config {
  const content = contentOf(path, document)
  // What is missing has no line of its own, but what should hold it has.
  const lineOf = (at: readonly PropertyKey[]): string => {
    const node: unknown = document.getIn(at, true)
    const ranged = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined
    const offset: unknown = Array.isArray(ranged) ? ranged[0] : undefined
    if (typeof offset === 'number') return `${path}:${lines.linePos(offset).line}`
    return at.length === 0 ? path : lineOf(at.slice(0, -1))
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
  // A key that is not known explains why another is missing.
  const { issues } = parsed.error
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]
  if (!issue) throw invalid(path, 'cannot be used')
  const personal = personalKey(issue)
  if (personal) throw misplaced(lineOf(personal), personal, scope)
  const [where, message] = complaint(issue, schema)
  throw invalid(lineOf(where), message)
}

/** The complaints of the YAML parser that quote nothing of the text. */
const PLAIN_FAULTS: readonly string[] = [
  'ALIAS_PROPS',
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'BLOCK_IN_FLOW',
  'COMMENT_SPACE',
  'DUPLICATE_KEY',
  'KEY_OVER_1024_CHARS',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'MULTIPLE_ANCHORS',
  'MULTIPLE_DOCS',
  'MULTIPLE_TAGS',
  'TAB_AS_INDENT',
]

/** Nothing of the text is repeated: a password that is written without quotes breaks YAML more often than anything else does. */
function faultText({ code, message }: { readonly code: string; readonly message: string }): string {
  return PLAIN_FAULTS.includes(code) ? message : `no YAML (${code}); put quotes around a value with special characters`
}

function contentOf(path: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 }) ?? {}
  } catch {
    // The parser names the alias, which may be a password that begins with an asterisk.
    throw invalid(path, 'an alias (*) in it means nothing; put quotes around a value with special characters')
  }
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
  const mayShow = isWord(unknown) && (meant !== undefined || issue.path[0] !== 'backend')
  const key = JSON.stringify([...issue.path, mayShow ? unknown : '…'].join('.'))
  return [[...issue.path, unknown], `unknown key ${key}; ${help}`]
}

/** What is no word, a URL that became a key by its colon, say, may hold a password and is not repeated; below `backend` no word either. */
function isWord(key: string): boolean {
  return /^[\w.-]{1,40}$/.test(key)
}
