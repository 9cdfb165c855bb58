/**
 * What would be published: each package as `npm pack` makes it. Its exports and types must resolve for those who import it,
 * nothing may be in it that is of use only here, and `require` of it works too, so no entry point awaits at top level.
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

const names = readdirSync('packages')
const faults = (await Promise.all([strangers(), ...names.map(lint), ...names.map(requireIt)])).flat()
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1

async function lint(name: string): Promise<string[]> {
  const pkgDir = join('packages', name)
  const { messages, pkg } = await publint({ pkgDir, strict: true, level: 'warning', pack: 'npm' })
  return messages.map((message) => `@muster/${name}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`)
}

async function requireIt(name: string): Promise<string[]> {
  const { ok, output } = await run([process.execPath, '--eval', `require('@muster/${name}')`])
  return ok ? [] : [`@muster/${name} cannot be loaded with require: ${output}`]
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
