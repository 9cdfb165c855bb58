/** What a git job is, as written by people (`git()`) and as recorded after its commit was pinned (the payload). */
import { MusterError, parseWith, type JobDefinitionInput } from '@muster/core'
import { z } from 'zod'
import { definition, programShape, type Secrets } from '../program.js'
import { checkRef, parseSource, type Source } from './source.js'

const HISTORIES = ['snapshot', 'full'] as const
/** How much history a job sees: its commit alone, or all that leads to it. */
export type History = (typeof HISTORIES)[number]

const FETCHERS = ['controller', 'machine'] as const

const inputShape = {
  /** A path on the host that submits, an https or ssh URL, or `[user@]host:path`. */
  repo: z.string().min(1),
  /** A branch, a tag, a commit; for a local repository also an expression such as `HEAD~3`. */
  ref: z.string().min(1).default('HEAD'),
  /** `snapshot`: the commit without its parents. `full`: all of its history (`git describe` works), sent once. */
  history: z.enum(HISTORIES).default('snapshot'),
  /** Who brings the commit to the machine. `machine`: it fetches from the URL itself, with the credentials that it has. */
  fetch: z.enum(FETCHERS).default('controller'),
}
export const inputSchema = z.strictObject({ ...inputShape, ...programShape })

/** What `git()` takes: `repo`, `run`, and optionally `ref`, `setup`, `cwd`, `env`, `artifacts`, `history`, `fetch`. */
export type GitInput = z.input<typeof inputSchema>

/** Where the commit comes from: a repository of one host, named by its common directory, or a URL. */
const originSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('path'), host: z.string(), path: z.string(), gitDirectory: z.string() }),
  z.strictObject({ kind: z.literal('url'), url: z.string() }),
])
/** Where a commit comes from. */
export type Origin = z.infer<typeof originSchema>

const FORMATS = { sha1: 40, sha256: 64 } as const
/** How a repository names its objects. */
export type ObjectFormat = keyof typeof FORMATS

const commitSchema = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/)

/** What `resolve` returns and the record keeps: the request as written, the commit it meant, and where that lies. */
export const payloadSchema = z.strictObject({
  ...inputShape,
  ...programShape,
  origin: originSchema,
  commit: commitSchema,
  objectFormat: z.enum(['sha1', 'sha256']),
  /** Names the mirror that pins the commit, below the worker's mirrors directory. */
  mirror: z.string().regex(/^[0-9a-f]{32}(-full)?$/),
})
export type Payload = z.infer<typeof payloadSchema>

/** Whether `ref` is a whole commit hash, and of which format. */
export function wholeHash(ref: string): ObjectFormat | undefined {
  if (!commitSchema.safeParse(ref).success) return undefined
  return ref.length === FORMATS.sha1 ? 'sha1' : 'sha256'
}

/** What the schema cannot say: the source and the ref are allowed, and whoever is to fetch can. Gives the source. */
export function checkInput({ repo, ref, fetch }: z.output<typeof inputSchema>): Source {
  const source = parseSource(repo)
  checkRef(ref, source)
  if (fetch === 'machine' && source.kind === 'path')
    throw new MusterError('INVALID_ARGUMENT', "git.fetch: 'machine' needs a URL; a path is of this host alone")
  return source
}

/**
 * A job that runs a command in a checkout of a commit. The ref becomes a commit when the job is submitted.
 *
 * @example git({ repo: '.', ref: 'main', run: ['python3', 'train.py'] })
 * @throws INVALID_ARGUMENT naming the field; REPO_UNSAFE for a URL with a password or of another protocol; REF_INVALID.
 */
export function git({ secrets, ...written }: GitInput & { secrets?: Secrets }): JobDefinitionInput {
  checkInput(parseWith(inputSchema, written, 'git'))
  return definition('git', written, secrets)
}
