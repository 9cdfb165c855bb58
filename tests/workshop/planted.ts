/** A copy of the tree to plant faults in. Only what the tools read is copied; what is installed is linked. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const CONFIGS = [
  'package.json',
  'tsconfig.base.json',
  'tsconfig.check.json',
  'eslint.config.js',
  '.dependency-cruiser.cjs',
]

/** How a tool judged the copy. */
export interface Verdict {
  readonly code: number
  readonly output: string
}

/** A copy of the sources, to be removed. */
export class PlantedTree {
  readonly root = mkdtempSync(join(tmpdir(), 'muster-test-planted-'))

  constructor() {
    for (const file of CONFIGS) cpSync(join(ROOT, file), join(this.root, file))
    for (const name of readdirSync(join(ROOT, 'packages')))
      for (const part of ['package.json', 'src'])
        cpSync(join(ROOT, 'packages', name, part), join(this.root, 'packages', name, part), { recursive: true })
    cpSync(join(ROOT, 'docs'), join(this.root, 'docs'), { recursive: true })
    cpSync(join(ROOT, 'README.md'), join(this.root, 'README.md'))
    this.#linkModules()
  }

  /** Writes a file that the tree should not have. */
  plant(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), text)
  }

  /** Runs an installed tool in the copy. */
  judge(tool: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Verdict> {
    const bin = join(ROOT, 'node_modules/.bin', tool)
    return new Promise((done) => {
      const options = { cwd: this.root, env: { ...process.env, NO_COLOR: '1', ...env } }
      execFile(bin, args, options, (error, stdout, stderr) => {
        done({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output: stdout + stderr })
      })
    })
  }

  /** All that is installed, but the workspace's own packages as they are in the copy. */
  #linkModules(): void {
    const modules = join(this.root, 'node_modules')
    mkdirSync(join(modules, '@muster'), { recursive: true })
    for (const name of readdirSync(join(ROOT, 'node_modules')))
      if (name !== '@muster') symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
    for (const name of readdirSync(join(ROOT, 'packages')))
      symlinkSync(join(this.root, 'packages', name), join(modules, '@muster', name))
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}
