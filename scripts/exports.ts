/**
 * What would be published: each package as `npm pack` makes it. Its exports and types must resolve for those who import it,
 * and nothing may be in it that is of use only here.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { run } from './lib/run.js'

interface Packed {
  readonly name: string
  readonly files: readonly { readonly path: string }[]
}

const faults = [...(await strangers()), ...(await Promise.all(readdirSync('packages').map(lint))).flat()]
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1

async function lint(name: string): Promise<string[]> {
  const pkgDir = join('packages', name)
  const { messages, pkg } = await publint({ pkgDir, strict: true, level: 'warning', pack: 'npm' })
  return messages.map((message) => `@muster/${name}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`)
}

async function strangers(): Promise<string[]> {
  const { ok, output } = await run([
    'npm',
    'pack',
    '--dry-run',
    '--json',
    '--workspaces',
    '--ignore-scripts',
    '--silent',
  ])
  const json = /^\[[^]*^\]/m.exec(output)?.[0]
  if (!ok || json === undefined) return [`npm pack --dry-run failed: ${output}`]
  return (JSON.parse(json) as Packed[]).flatMap(({ name, files }) => {
    const paths = files.map((file) => file.path)
    const missing = ['dist/index.js', 'dist/index.d.ts'].filter((path) => !paths.includes(path))
    const foreign = paths.filter((path) => !/^(dist|bin)\/|^(package\.json|README\.md|LICENSE)$/.test(path))
    return [
      ...missing.map((path) => `${name}: ${path} would not be published`),
      ...foreign.map((path) => `${name}: ${path} would be published`),
    ]
  })
}
