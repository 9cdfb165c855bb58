/**
 * Fetch: log, result and artifacts come here, in one round trip while they are small, else one file after the other. Names that
 * come from a machine are hostile: each is checked, links are not followed on either side, counts and bytes are capped, and what
 * is refused is said.
 */
import { abortReason, MusterError, systemIds } from '@muster/core'
import { lstat, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import picomatch from 'picomatch'
import type { AttemptKey, FetchedFile, FetchReport } from './launcher.js'
import { LineReader } from './line-reader.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName } from './names.js'

interface Candidate {
  /** Where it lies below the attempt's directory. */
  readonly source: string
  /** Where it goes below the target. */
  readonly target: string
  readonly bytes: number
  /** Where its bytes begin among those that came with the list; undefined where they do not. */
  readonly at: number | undefined
}
interface Limits {
  readonly maxBytes: number
  readonly maxFiles: number
}

/** See Launcher.fetch. The log and the result count towards no limit. */
export async function fetchAttempt(
  shell: MachineShell,
  key: AttemptKey,
  directory: string,
  limits: Limits,
  signal?: AbortSignal,
): Promise<FetchReport> {
  const refused: { path: string; reason: string }[] = []
  const { found, globs, small } = await listed(shell, key, refused, signal)
  const files: FetchedFile[] = []
  const root = `${(await shell.facts()).stateDir}/attempts/${attemptName(key)}`
  for (const candidate of chosen(found, globs, limits, refused)) {
    if (signal?.aborted) throw abortReason(signal)
    const { at, bytes } = candidate
    const read = { length: bytes, ...(signal ? { signal } : {}) }
    const here = small && at !== undefined ? [small.subarray(at, at + bytes)] : undefined
    const content = bytes === 0 ? [] : (here ?? shell.transport.get(`${root}/${candidate.source}`, read))
    const reason = await brought(content, directory, candidate)
    if (reason === undefined) files.push({ path: candidate.target, bytes: candidate.bytes })
    else refused.push({ path: candidate.target, reason })
  }
  return { files, refused }
}

/** What there is: regular files only; each line `mode size path`. A name with a newline makes lines of files that are not there. */
async function listed(
  shell: MachineShell,
  key: AttemptKey,
  refused: { path: string; reason: string }[],
  signal: AbortSignal | undefined,
): Promise<{ found: Candidate[]; globs: readonly string[]; small: Buffer | undefined }> {
  const name = attemptName(key)
  const nonce = systemIds.token()
  const script =
    `m_look ${name} ${key.token}\ncase $m_st in foreign) exit 3;; absent) exit 0;; esac\n` +
    `cd ${name} || exit\nm_fetch ${nonce}\nexit 0\n`
  const { stdout } = await shell.ask(() => script, { signal })
  const reader = new LineReader(stdout, nonce)
  const found: Candidate[] = []
  const globs: string[] = []
  let total = 0
  for (const line of reader.untilNonce().toString('latin1').split('\n')) {
    const match = /^([0-9a-f]+|g) (\d+) (.+)$/.exec(line)
    if (!match) continue
    const [, mode = '', size = '0', raw = ''] = match
    const path = Buffer.from(raw, 'latin1').toString('utf8')
    const regular = mode !== 'g' && (parseInt(mode, 16) & 0o170000) === 0o100000
    const at = regular && !raw.startsWith('work/') ? total : undefined
    if (at !== undefined) total += Number(size)
    if (mode === 'g') globs.push(path)
    else if (!Buffer.from(path).equals(Buffer.from(raw, 'latin1')))
      refused.push({ path, reason: 'the name is not UTF-8' })
    else if (!regular) refused.push({ path, reason: 'not a regular file' })
    else found.push({ source: path, target: targetOf(path), bytes: Number(size), at })
  }
  // All bytes that the list announces, or they are not trusted to be whose they seem: then each file is asked for by itself.
  const small = reader.restBytes()
  return { found, globs, small: small.length === total ? small : undefined }
}

function targetOf(path: string): string {
  return path.startsWith('work/') ? `artifacts/${path.slice('work/'.length)}` : path
}

/** Log and result always; what lies in MUSTER_ARTIFACTS; of the work directory what a glob names. The first of a name wins. */
function* chosen(
  found: readonly Candidate[],
  globs: readonly string[],
  limits: Limits,
  refused: { path: string; reason: string }[],
): Generator<Candidate> {
  const wanted = picomatch([...globs], { dot: true })
  const taken = new Set<string>()
  let count = 0
  let bytes = 0
  for (const file of [...found].sort((a, b) => (a.source < b.source ? -1 : 1))) {
    const counts = file.source !== 'log' && file.source !== 'result'
    if (file.source.startsWith('work/') && !wanted(file.source.slice('work/'.length))) continue
    const reason = unsafeName(file.target) ?? (taken.has(file.target) ? 'another file has this name' : undefined)
    const limit = counts && (count >= limits.maxFiles || bytes + file.bytes > limits.maxBytes)
    if (reason !== undefined || limit) {
      refused.push({ path: file.target, reason: reason ?? 'beyond the limit of files or bytes' })
      continue
    }
    taken.add(file.target)
    if (counts) {
      count += 1
      bytes += file.bytes
    }
    yield file
  }
}

function unsafeName(path: string): string | undefined {
  const parts = path.split('/')
  if (path.startsWith('/') || parts.some((part) => part === '' || part === '.' || part === '..'))
    return 'the path leads elsewhere'
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return 'the name holds control characters or a backslash'
  return undefined
}

/** Writes below `directory`; gives the reason where a step of the way is not a directory of ours. */
async function brought(
  content: AsyncIterable<Buffer> | readonly Buffer[],
  directory: string,
  { target: path, bytes }: Candidate,
): Promise<string | undefined> {
  const parts = path.split('/')
  let parent = directory
  for (const part of parts.slice(0, -1)) {
    parent = join(parent, part)
    await mkdir(parent, { mode: 0o700 }).catch(existing)
    if (!(await lstat(parent)).isDirectory()) return 'a file or link is in the way'
  }
  const final = join(parent, parts.at(-1) ?? '')
  // An empty file is whole when it appears.
  const partial = bytes === 0 ? final : join(parent, `.muster-partial-${process.pid}`)
  try {
    await using file = await created(partial)
    for await (const chunk of content) await file.writeFile(chunk)
    // Once these bytes are here the machine has none left.
    if (bytes > 0) await file.sync()
  } catch (error) {
    await rm(partial, { force: true })
    if (error instanceof MusterError && error.code === 'FILE_MISSING') return 'it vanished'
    throw error
  }
  if (partial !== final) await rename(partial, final)
  return undefined
}

/** A file made anew: what an earlier fetch left under this name goes, and a link is never followed. */
async function created(path: string): Promise<FileHandle> {
  const create = (): Promise<FileHandle> => open(path, 'wx', 0o600)
  return create().catch(async (error: unknown) => {
    existing(error)
    await rm(path, { force: true })
    return create()
  })
}

function existing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
}
