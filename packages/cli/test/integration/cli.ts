/** Runs the `muster` command as a user would: its own process, a home of its own, and everything it said. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const MUSTER = fileURLToPath(new URL('../../bin/muster.js', import.meta.url))

/** What a command came to. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A home with a project directory, away from everything else on this host. */
export class Sandbox {
  readonly root: string
  readonly project: string
  readonly env: Record<string, string>

  private constructor(root: string) {
    this.root = root
    this.project = join(root, 'project')
    this.env = { PATH: process.env['PATH'] ?? '', HOME: root, XDG_STATE_HOME: join(root, 'state') }
  }

  static async open(): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(join(tmpdir(), 'muster-test-cli-')))
    await mkdir(sandbox.project)
    return sandbox
  }

  /** Starts a command and leaves it running. */
  start(...args: string[]): Running {
    return new Running(spawn(process.execPath, [MUSTER, ...args], { cwd: this.project, env: this.env }))
  }

  /** Starts a command on a terminal of its own, whose whole screen is its standard output; its input stays open. */
  onTerminal(...args: string[]): Running {
    const line = [process.execPath, MUSTER, ...args].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['-qfec', line, '/dev/null'], { cwd: this.project, env: this.env })
    return new Running(child, true)
  }

  /** Runs a command to its end. */
  muster(...args: string[]): Promise<Outcome> {
    return this.start(...args).ended
  }

  /** A repository in the project directory with one commit of these files; gives the commit. */
  async repository(files: Readonly<Record<string, string>>): Promise<string> {
    const run = promisify(execFile)
    const git = (...args: string[]) => run('git', ['-C', this.project, ...args], { env: this.env })
    const { writeFile } = await import('node:fs/promises')
    await git('init', '-q', '-b', 'main')
    for (const [name, text] of Object.entries(files)) await writeFile(join(this.project, name), text)
    await git('add', '.')
    await git('-c', 'user.name=t', '-c', 'user.email=t@example.org', 'commit', '-qm', 'one')
    return (await git('rev-parse', 'HEAD')).stdout.trim()
  }

  async close(): Promise<void> {
    await rm(this.root, { recursive: true, force: true })
  }
}

/** A command under way. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  stdout = ''
  stderr = ''

  constructor(child: ChildProcess, typing = false) {
    this.child = child
    if (!typing) child.stdin?.end()
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }))
    })
  }
}
