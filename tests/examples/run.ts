/** Runs an example as the README says it is run: from the root of the workspace, on a record of its own. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../..')

/** A home for one example. */
export class Home {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(): Promise<Home> {
    return new Home(await mkdtemp(join(tmpdir(), 'muster-test-example-')))
  }

  /** The lines that `node ARGS` prints. */
  async node(args: readonly string[], cwd = ROOT): Promise<string[]> {
    const env = { PATH: process.env['PATH'] ?? '', HOME: this.path, XDG_STATE_HOME: join(this.path, 'state') }
    const { stdout } = await run(process.execPath, args, { cwd, env, timeout: 120_000 })
    return stdout.trimEnd().split('\n')
  }

  async close(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

/** An example's path. */
export function example(name: string): string {
  return join(ROOT, 'examples', name)
}
