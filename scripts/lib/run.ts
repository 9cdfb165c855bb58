/** Child processes of the workshop: bounded in time, their output kept until somebody wants it. */
import { spawn } from 'node:child_process'

/** How a command ended. */
export interface Ended {
  readonly ok: boolean
  readonly output: string
  readonly ms: number
}

/** What may be said about a run. `show` passes the output through as it comes; otherwise it is only collected. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly show?: boolean
  readonly limitMs?: number
}

/** The command lines of tools that npm installed, without npm's own start-up. */
export function tool(name: string, ...args: readonly string[]): readonly string[] {
  return [`node_modules/.bin/${name}`, ...args]
}

/** Runs a command to its end; never throws for how it ended. Past `limitMs` (10 min) it is killed and says so. */
export function run([command = '', ...args]: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const began = performance.now()
  const limitMs = options.limitMs ?? 600_000
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...(!options.show && { NO_COLOR: '1' }), ...options.env },
      stdio: options.show ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    })
    const limit = setTimeout(() => {
      output += `\nkilled: it took longer than ${limitMs / 1000} s`
      child.kill('SIGKILL')
    }, limitMs)
    const end = (ok: boolean): void => {
      clearTimeout(limit)
      resolve({ ok, output: output.trim(), ms: performance.now() - began })
    }
    child.stdout?.on('data', (bytes: Buffer) => (output += bytes.toString()))
    child.stderr?.on('data', (bytes: Buffer) => (output += bytes.toString()))
    child.on('error', (error) => {
      output += error.message
      end(false)
    })
    child.on('close', (code) => {
      end(code === 0)
    })
  })
}
