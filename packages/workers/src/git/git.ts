/**
 * The one place that starts git on the controller. Invariants: no GIT_* of the caller's environment reaches it, it never
 * asks a question, it speaks only the protocols of the call, and an abort ends it with everything it started.
 */
import { abortReason, type Clock } from '@muster/core'
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { errno } from './errno.js'
import { gitFailure } from './git-errors.js'

/** How git is to be called. */
export interface GitCall {
  readonly cwd?: string
  /** `user`: the user's configuration (credentials, ssh, insteadOf). `none`: git's defaults alone. */
  readonly config: 'user' | 'none'
  /** What a fetch may use; nothing by default. */
  readonly protocols?: 'https:ssh' | 'file' | 'https:ssh:file'
  readonly stdin?: string
  /** Exit codes other than 0 that are answers. */
  readonly answers?: readonly number[]
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Ends git when it has said nothing on standard error for so long, milliseconds. */
  readonly silenceMs?: number
  /** Gets each line of standard error as it comes, progress included. */
  readonly onLine?: (line: string) => void
}

/** What git answered. */
export interface GitAnswer {
  readonly code: number
  readonly stdout: string
}

/** Runs git to its end. Throws a typed error with git's words, without credentials, on any other end than an answer. */
export async function runGit(args: readonly string[], call: GitCall): Promise<GitAnswer> {
  const child = spawnGit(args, call)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  const code = await follow(child, args, call)
  return { code, stdout: Buffer.concat(chunks).toString('utf8') }
}

/** git under way, for output that is too large to hold. `ended` rejects as {@link runGit} does. */
export interface RunningGit {
  readonly stdout: Readable
  readonly ended: Promise<number>
}

/** Starts git. Its output waits for whoever reads it, however late: of a child that has ended Node throws away what nobody reads. */
export function startGit(args: readonly string[], call: GitCall): RunningGit {
  const child = spawnGit(args, call)
  return { stdout: child.stdout.pipe(new PassThrough()), ended: follow(child, args, call) }
}

/** In a process group of its own. */
function spawnGit(args: readonly string[], call: GitCall): Child {
  call.signal.throwIfAborted()
  const child = spawn('git', args, {
    cwd: call.cwd,
    env: gitEnvironment(call),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  // A git that ends before it has read its input is judged by its exit, not by our broken pipe.
  child.stdin.on('error', () => undefined)
  child.stdin.end(call.stdin ?? '')
  return child
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

function follow(child: Child, args: readonly string[], call: GitCall): Promise<number> {
  return new Promise((resolve, reject) => {
    const words = new LastWords(call.onLine)
    const stop = stopper(child, call)
    child.stderr.on('data', (chunk: Buffer) => {
      words.add(chunk)
      stop.alive()
    })
    child.on('error', (cause) => {
      stop.release()
      reject(gitFailure({ args, code: null, said: cause.message, cause }))
    })
    child.on('close', (code) => {
      stop.release()
      if (call.signal.aborted) reject(abortReason(call.signal))
      else if (stop.silent) reject(gitFailure({ args, code: null, said: 'it made no progress and was ended' }))
      else if (code === 0 || (code !== null && call.answers?.includes(code))) resolve(code)
      else reject(gitFailure({ args, code, said: words.text }))
    })
  })
}

/** Ends the group on abort or silence: TERM, so that git removes its temporary files, and KILL a second later. */
function stopper(
  child: Child,
  { signal, clock, silenceMs }: GitCall,
): { silent: boolean; alive(): void; release(): void } {
  let cancelSilence = (): void => undefined
  let cancelKill = (): void => undefined
  let ending = false
  const end = (): void => {
    ending = true
    signalGroup(child, 'SIGTERM')
    cancelKill = clock.after(1_000, () => signalGroup(child, 'SIGKILL'))
  }
  const state = {
    silent: false,
    alive: (): void => {
      cancelSilence()
      if (silenceMs === undefined) return
      cancelSilence = clock.after(silenceMs, () => {
        state.silent = true
        end()
      })
    },
    release: (): void => {
      cancelSilence()
      cancelKill()
      // What outlived git's own end, if we asked for that end.
      if (ending) signalGroup(child, 'SIGKILL')
      signal.removeEventListener('abort', end)
    },
  }
  signal.addEventListener('abort', end, { once: true })
  state.alive()
  return state
}

function signalGroup(child: Child, name: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, name)
  } catch (error) {
    // The group has ended by itself (macOS says EPERM of zombies), which is what was wanted.
    if (!['ESRCH', 'EPERM'].includes(errno(error) ?? '')) throw error
  }
}

/** The end of what git said, without progress, for the message of an error. */
class LastWords {
  #pending = ''
  #lines: string[] = []
  readonly #onLine: ((line: string) => void) | undefined

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine
  }

  add(chunk: Buffer): void {
    const lines = (this.#pending + chunk.toString('utf8')).split(/[\r\n]/)
    this.#pending = (lines.pop() ?? '').slice(-2_000)
    for (const line of lines) {
      if (line.trim() === '') continue
      this.#onLine?.(line.trim())
      if (!/\d+% \(\d+\/\d+\)|^(remote: )?(Enumerating|Counting|Compressing|Total) /.test(line))
        this.#lines.push(line.slice(0, 500))
    }
    this.#lines = this.#lines.slice(-20)
  }

  get text(): string {
    return [...this.#lines, this.#pending].join('\n').trim()
  }
}

function gitEnvironment({ config, protocols }: GitCall): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^GIT_|^SSH_ASKPASS|^LC_|^LANGUAGE$/.test(name))
  return {
    ...Object.fromEntries(inherited),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: protocols ?? 'none',
    GIT_OPTIONAL_LOCKS: '0',
    ...(config === 'none' && {
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_SYSTEM: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_ATTR_NOSYSTEM: '1',
    }),
  }
}
