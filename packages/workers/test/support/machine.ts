/** A small real machine: this host's /bin/sh. `isLocal: false` makes a second one of it, with a state directory of its own. */
import type { ByteSource, Command, LaunchPlan, MachineAccess, RunResult } from '@muster/core'
import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

type Environment = Readonly<Record<string, string>>

const clean = (home: string, path = process.env.PATH ?? ''): Environment => ({ PATH: path, HOME: home, LC_ALL: 'C' })

/** A machine whose state directory and home exist. */
export function machineAt(stateDir: string, options: { isLocal: boolean; home: string; path?: string }): MachineAccess {
  return {
    name: options.isLocal ? 'local' : 'other',
    stateDir,
    isLocal: options.isLocal,
    run: (script, { stdin = '', signal } = {}) =>
      execute(['/bin/sh', '-c', script], {
        cwd: '/',
        env: clean(options.home, options.path),
        stdin,
        ...(signal && { signal }),
      }),
    put: async (path, content, { mode = 0o600 } = {}) => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await writeFile(path, typeof content === 'string' ? content : Readable.from(content), { mode })
    },
    get: (path, { offset = 0 } = {}) => createReadStream(path, { start: offset }),
  }
}

/** What an attempt left. */
export interface Ran {
  readonly workspace: RunResult
  /** Absent where the workspace could not be made. */
  readonly command?: RunResult
  readonly workDir: string
}

/** Runs a plan as the supervisor does: workspace with a clean environment, then setup and command with the job's. */
export async function runPlan(plan: LaunchPlan, attemptDir: string, home: string): Promise<Ran> {
  const workDir = join(attemptDir, 'work')
  await mkdir(workDir, { recursive: true, mode: 0o700 })
  const env = { ...clean(home), MUSTER_ATTEMPT_DIR: attemptDir }
  const workspace = await execute(['/bin/sh', '-c', plan.workspace ?? ':'], { cwd: workDir, env, stdin: '' })
  if (workspace.code !== 0) return { workspace, workDir }
  const job = { cwd: join(workDir, plan.cwd ?? '.'), env: { ...env, ...plan.env }, stdin: '' }
  if (plan.setup) await execute(argvOf(plan.setup), job)
  return { workspace, command: await execute(argvOf(plan.command), job), workDir }
}

function argvOf(command: Command): readonly string[] {
  return 'script' in command ? ['/bin/sh', '-c', command.script] : command.argv
}

interface Execution {
  readonly cwd: string
  readonly env: Environment
  readonly stdin: ByteSource
  readonly signal?: AbortSignal
}

/** Runs a program to its end. */
export async function execute(argv: readonly string[], { cwd, env, stdin, signal }: Execution): Promise<RunResult> {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { cwd, env, signal })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  const ended = new Promise<RunResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, name) =>
      resolve({ code, signal: name, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) }),
    )
  })
  const source = typeof stdin === 'string' || stdin instanceof Uint8Array ? [Buffer.from(stdin)] : stdin
  // Whoever ends without reading its input is judged by its exit.
  const fed = pipeline(Readable.from(source), child.stdin).catch((error: unknown) => error)
  const result = await ended
  await fed
  return result
}
