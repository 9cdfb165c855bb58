/** Other releases of Node, which the registry has as packages. Kept below node_modules, so that `npm ci` starts afresh. */
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { run, type Ended } from './run.js'
import type { Step } from './steps.js'

/** The releases that the unit tests run on, beside the one that runs this. */
const RELEASES = [22, 24] as const

/** One step for each release: the unit tests on it. */
export const nodeSteps: readonly Step[] = RELEASES.map((release) => ({
  name: `unit tests on Node ${release}`,
  counted: true,
  run: async () => {
    const node = await installed(release)
    if ('output' in node) return node
    return run([node.path, 'node_modules/vitest/vitest.mjs', 'run', '--project', 'unit'])
  },
}))

async function installed(release: number): Promise<Ended | { readonly path: string }> {
  const name = `node-${process.platform === 'darwin' && process.arch === 'arm64' ? 'bin-' : ''}${process.platform}-${process.arch}`
  const prefix = resolve('node_modules/.cache/nodes', String(release))
  const path = join(prefix, 'node_modules', name, 'bin/node')
  if (existsSync(path)) return { path }
  mkdirSync(prefix, { recursive: true })
  const install = await run([
    'npm',
    'install',
    '--no-save',
    '--ignore-scripts',
    '--prefix',
    prefix,
    `${name}@${release}`,
  ])
  return install.ok ? { path } : { ...install, output: `Node ${release} could not be installed\n${install.output}` }
}
