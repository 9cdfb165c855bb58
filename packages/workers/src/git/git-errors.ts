/** Turns what git said into typed errors. Invariant: no user info and no query of a URL survives in a message. */
import { MusterError, quote, type ErrorCode } from '@muster/core'
import { errno } from './errno.js'

/** How a call of git ended. `code` is null where it did not end by itself. */
export interface GitEnd {
  readonly args: readonly string[]
  readonly code: number | null
  readonly said: string
  readonly cause?: unknown
}

/** git's wording (LC_ALL=C) by what it means to the person who submitted; the first that fits. */
const MEANINGS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/dubious ownership|is owned by someone else/i, 'REPO_FOREIGN_OWNER', 'the repository belongs to another user'],
  [/transport '[^']*' not allowed/, 'REPO_UNSAFE', 'the repository is reached by a protocol that is not taken'],
  [/not our ref|couldn't find remote ref|no such remote ref/i, 'REF_NOT_FOUND', 'the repository has no such commit'],
  [
    /not a git repository|not appear to be a git|repository .*not found|does not exist|No such file or directory|cannot change to/i,
    'REPO_NOT_FOUND',
    'there is no such repository',
  ],
  [
    /Could not read from remote|Authentication failed|could not read (Username|Password)|terminal prompts disabled|Permission denied|unable to access|Could not resolve host|Host key verification failed/i,
    'REPO_NOT_FOUND',
    'the repository cannot be read',
  ],
]

/** The typed error of a git that ended badly. */
export function gitFailure({ args, code, said, cause }: GitEnd): MusterError {
  if (errno(cause) === 'ENOENT')
    return new MusterError('GIT_MISSING', 'git is not installed here, or its working directory is gone', { cause })
  const words = redact(said)
  // 129 is git's own complaint about its options: all of ours exist since 2.31.
  if (code === 129) return new MusterError('GIT_MISSING', `git is too old: ${firstLine(words)}`)
  const verb = args.find((word) => /^[a-z]+(-[a-z]+)*$/.test(word)) ?? 'git'
  const [, meaning, text] = MEANINGS.find(([pattern]) => pattern.test(words)) ?? [null, 'GIT_FAILED' as const, null]
  const hint = meaning === 'REPO_FOREIGN_OWNER' ? allowLine(words) : undefined
  return new MusterError(
    meaning,
    text === null ? `git ${verb} failed: ${firstLine(words) || `exit ${code}`}` : `${text}: ${firstLine(words)}`,
    { details: { git: verb, exitCode: code, said: words }, cause, ...(hint !== undefined && { hint }) },
  )
}

/** Removes what may be a secret from text that git or a person wrote. */
export function redact(text: string): string {
  return text.replace(/([A-Za-z][A-Za-z0-9+.-]*:\/\/)[^/\s'"]*@/g, '$1').replace(/(:\/\/[^\s'"?#]*)[?#][^\s'"]*/g, '$1')
}

/** The line that says why: the first complaint of git, or what ssh said before git noticed that nobody answers. */
function firstLine(words: string): string {
  const lines = words.split('\n').filter((line) => line.trim() !== '')
  const telling = Math.max(
    lines.findIndex((line) => /(fatal|error|ssh):/i.test(line)),
    0,
  )
  const line =
    lines[/^fatal: Could not read from remote/.test(lines[telling] ?? '') ? Math.max(telling - 1, 0) : telling]
  return (line ?? '').replace(/^(remote: )?(fatal|error): /, '').trim()
}

/** The line that allows a foreign repository. git asks twice, once by its work tree and once by its directory below. */
function allowLine(words: string): string | undefined {
  const directory = /dubious ownership in repository at '([\s\S]+?)'\n/.exec(words)?.[1]
  if (directory === undefined) return undefined
  const both = directory.endsWith('.git') ? [directory] : [directory, `${directory}/.git`]
  const lines = both.map((path) => `git config --global --add safe.directory ${quote(path)}`)
  return `If you trust its owner, run: ${lines.join(' && ')}`
}
