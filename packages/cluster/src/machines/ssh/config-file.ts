/**
 * Reads the user's ssh configuration into a tree. The library splits lines into keyword and values; what they mean is decided
 * in user-config.ts, since the library's own evaluation starts programs (`Match exec`, nslookup) and knows no Include.
 * Invariant: nothing is read that somebody else may write.
 */
import { MusterError } from '@muster/core'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import SSHConfig, { type Line } from 'ssh-config'
import { quotedLines } from './config-lines.js'
import { errorCode } from './files.js'
import { filesMatching } from './globs.js'

/** A line of the configuration with what stands below it. */
export type ConfigNode =
  | { readonly kind: 'setting'; readonly keyword: string; readonly values: readonly string[]; readonly file: string }
  | { readonly kind: 'host' | 'match'; readonly values: readonly string[]; readonly body: readonly ConfigNode[] }
  | { readonly kind: 'include'; readonly body: readonly ConfigNode[] }

/** As deep as ssh goes. A file that includes itself ends here. */
const MAX_DEPTH = 16

/**
 * Reads the file with all that it includes; a missing one is empty unless `required`.
 * Throws SSH_CONFIG_INVALID naming the file: unreadable, unsafe, malformed, included too deep.
 */
export async function readConfig(
  file: string,
  { home, required }: { readonly home: string; readonly required: boolean },
): Promise<readonly ConfigNode[]> {
  return await readNodes(file, { home, required, depth: 0 })
}

interface Place {
  readonly home: string
  readonly required: boolean
  readonly depth: number
}

async function readNodes(file: string, place: Place): Promise<ConfigNode[]> {
  if (place.depth > MAX_DEPTH) throw invalid(file, 'is included too deep, perhaps by itself')
  const text = await readSafely(file, place.required)
  return text === undefined ? [] : await nodesOf(parsed(text, file), file, place)
}

async function nodesOf(lines: readonly Line[], file: string, place: Place): Promise<ConfigNode[]> {
  const nodes: ConfigNode[] = []
  for (const line of lines) {
    if (line.type !== SSHConfig.DIRECTIVE) continue
    const keyword = line.param.toLowerCase()
    const values = typeof line.value === 'string' ? [line.value] : line.value.map(({ val }) => val)
    if (keyword === 'include') nodes.push({ kind: 'include', body: await included(values, place) })
    else if (keyword === 'host' || keyword === 'match') {
      const below = 'config' in line ? line.config : []
      nodes.push({ kind: keyword, values, body: await nodesOf(below, file, place) })
    } else nodes.push({ kind: 'setting', keyword, values, file })
  }
  return nodes
}

async function included(patterns: readonly string[], { home, depth }: Place): Promise<ConfigNode[]> {
  const nodes: ConfigNode[] = []
  for (const pattern of patterns) {
    const path = pattern.startsWith('~/') ? join(home, pattern.slice(2)) : pattern
    for (const file of await filesMatching(path.startsWith('/') ? path : join(home, '.ssh', path)))
      nodes.push(...(await readNodes(file, { home, required: false, depth: depth + 1 })))
  }
  return nodes
}

async function readSafely(file: string, required: boolean): Promise<string | undefined> {
  try {
    await using handle = await open(file, 'r')
    const facts = await handle.stat()
    const isOurs = facts.uid === 0 || facts.uid === process.getuid?.()
    if (facts.isFile() && (!isOurs || (facts.mode & 0o022) !== 0))
      throw invalid(file, 'could be changed by others', `Own it yourself and run: chmod go-w ${file}`)
    return await handle.readFile('utf8')
  } catch (error) {
    if (error instanceof MusterError) throw error
    const code = errorCode(error)
    if ((code === 'ENOENT' || code === 'ENOTDIR') && !required) return undefined
    throw invalid(file, `cannot be read (${code})`, 'Correct the path, or make the file readable for you.', error)
  }
}

function parsed(text: string, file: string): readonly Line[] {
  try {
    return SSHConfig.parse(quotedLines(text))
  } catch (error) {
    const why = error instanceof RangeError ? error.message : 'something that the library cannot read'
    throw invalid(file, `cannot be understood: ${why}`, `See what ssh says to it: ssh -G -F ${file} localhost`, error)
  }
}

function invalid(file: string, why: string, hint?: string, cause?: unknown): MusterError {
  return new MusterError('SSH_CONFIG_INVALID', `the ssh configuration ${file} ${why}`, {
    ...(hint !== undefined && { hint }),
    details: { file },
    cause,
  })
}
