/** docs/dependencies.md says why each dependency is here, no more and no less; the lock file names no place to fetch from. */
import { readFileSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const manifests = ['package.json', ...readdirSync('packages').map((name) => `packages/${name}/package.json`)].map(
  (file) => JSON.parse(readFileSync(file, 'utf8')) as Manifest,
)

it('every dependency has its reason, and every reason its dependency', () => {
  const declared = manifests.flatMap(({ dependencies, devDependencies, peerDependencies }) =>
    Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies }),
  )
  const rows = readFileSync('docs/dependencies.md', 'utf8').matchAll(/^\| (`.*?`) +\|/gm)
  const explained = [...rows].flatMap(([, names = '']) => names.replaceAll('`', '').split(', '))
  const foreign = new Set(declared.filter((name) => !name.startsWith('@muster/')))
  expect(explained.sort()).toEqual([...foreign].sort())
})

const lock = readFileSync('package-lock.json', 'utf8')

it('package-lock.json names no registry', () => {
  expect(lock).not.toMatch(/"resolved": "[a-z+]+:/)
})

it('package-lock.json holds the optional packages of every platform, without which npm ci refuses it', () => {
  const { packages } = JSON.parse(lock) as { packages: Readonly<Record<string, Locked>> }
  const locked = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, '')))
  const wanted = Object.values(packages).flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
  expect(wanted.filter((name) => !locked.has(name))).toEqual([])
})
