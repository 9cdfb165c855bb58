/**
 * The sweep after a test run: what is left of ours on this machine? Invariant of a run: all it makes lies below its root
 * (lib/test-home.ts), so a process belongs to it that carries, uses or was started from something below that root. A lock
 * is held by a process, so no process means no lock.
 */
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * What rules keep in the state directory of a user after all jobs have ended: the record with its collected files and
 * mirrors; of the machine what later attempts use again, MUSTER_KEEP, and which epoch led each record. Attempts and claims
 * of GPUs are kept by none.
 */
const KEPT_STATE = [
  /^muster(\/(\.gitignore|jobs\.db(-wal|-shm)?|files|mirrors|machine))?$/,
  /^muster\/machine\/(attempts|bin|cache|events|gpus|keep|records)$/,
  /^muster\/(files|mirrors|machine\/(bin|cache|keep|records))\//,
]
/** What tools of the workshop, not muster, leave in a temporary directory. */
const TOOLS = /^(tsx-\d+|node-compile-cache|v8-compile-cache.*)$/

/** Says what is left below `root`, one line each; waits a little for processes that are just ending. */
export async function sweep(root: string, marker: string, patienceMs = 5_000): Promise<readonly string[]> {
  const deadline = performance.now() + patienceMs
  while (processesOf(root).length > 0 && performance.now() < deadline) await delay(100)
  return [...processesOf(root), ...leftovers(root), ...leaks(root, marker)]
}

function processesOf(root: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => traces(pid).some((text) => text.includes(root)))
    .map((pid) => `process ${pid}: ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()}`)
}

/** Every text by which a process can refer to a directory. Processes may end, and zombies have nothing, while we look. */
function traces(pid: string): string[] {
  const at = `/proc/${pid}`
  const links = ['cwd', 'exe', 'root', ...list(`${at}/fd`).map((fd) => `fd/${fd}`)].map((name) => link(`${at}/${name}`))
  return [read(`${at}/cmdline`), read(`${at}/environ`), ...links]
}

function leftovers(root: string): string[] {
  const scratch = list(join(root, 'tmp')).filter((name) => !TOOLS.test(name))
  const state = join(root, 'home/.local/state')
  const kept = (path: string): boolean => KEPT_STATE.some((rule) => rule.test(path))
  const paths = tree(state).map((entry) => relative(state, entry.path))
  return [
    ...scratch.map((name) => `left in the temporary directory: ${name}`),
    ...paths.filter((path) => !kept(path)).map((path) => `left in the state directory: ${path}`),
  ]
}

/** The marker stands in the environment of every process of the run; nothing of ours may ever write it down. */
function leaks(root: string, marker: string): string[] {
  return tree(root)
    .filter((entry) => entry.isFile && read(entry.path).includes(marker))
    .map((entry) => `the planted variable was written to ${relative(root, entry.path)}`)
}

function tree(directory: string): { readonly path: string; readonly isFile: boolean }[] {
  if (!existsSync(directory)) return []
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries.map((entry) => ({ path: join(entry.parentPath, entry.name), isFile: entry.isFile() }))
}

const quietly =
  <T>(otherwise: T, look: (path: string) => T) =>
  (path: string): T => {
    try {
      return look(path)
    } catch {
      return otherwise
    }
  }
const read = quietly('', (path) => readFileSync(path, 'latin1'))
const link = quietly('', (path) => readlinkSync(path))
const list = quietly<string[]>([], (path) => readdirSync(path))
