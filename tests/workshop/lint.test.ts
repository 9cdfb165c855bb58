/** Lint must see a promise that floats although another package made it, and the other things that no reviewer should have to. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PlantedTree } from './planted.js'

const PLANTED = 'packages/sdk/src/planted.ts'

/** [the rule that must speak, the lines planted in sdk] */
const FAULTS: Readonly<Record<string, readonly [rule: string, line: string]>> = {
  'a promise of another package floats': ['no-floating-promises', 'export function f(): void { systemClock.sleep(1) }'],
  'a promise of another package is taken for a value': [
    'no-misused-promises',
    'export function f(): void { if (systemClock.sleep(1)) return }',
  ],
  'a promise of another package floats through an inferred type': [
    'no-floating-promises',
    'const group = new TaskGroup(() => undefined)\nexport const f = (): void => { group.settled() }',
  ],
  'a cast hides a type error': ['no-restricted-syntax', "export const f = 'x' as unknown as number"],
  'any is written': ['no-explicit-any', 'export const f = (x: any): boolean => x === 1'],
  'an error is swallowed': ['no-empty', 'export function f(): void { try { JSON.parse("") } catch {} }'],
  'time is read past the clock': ['no-restricted-syntax', 'export const f = (): number => Date.now()'],
  'a library ends its host': ['no-restricted-properties', 'export const f = (): never => process.exit(1)'],
  'a timer is set past the clock': ['no-restricted-globals', 'export const f = (): unknown => setTimeout(f, 1)'],
  'work is put off in a comment': ['no-warning-comments', `// ${'TO' + 'DO'}: later\nexport const f = 1`],
  'a file grows too long': ['max-lines', `export const f = 1\n${'//\n'.repeat(300)}`],
}

let tree: PlantedTree
beforeAll(() => {
  tree = new PlantedTree()
})
afterAll(() => {
  tree.remove()
})

describe('lint', () => {
  it('catches each planted fault, and nothing in a clean file beside them', async () => {
    const imports = "import { TaskGroup, systemClock } from '@muster/core'\n"
    const files = Object.values(FAULTS).map(([, line], index) => {
      const path = PLANTED.replace('.ts', `-${index}.ts`)
      tree.plant(path, `${imports}${line}\nexport const used = [TaskGroup, systemClock]\n`)
      return path
    })
    const clean = PLANTED.replace('.ts', '-clean.ts')
    tree.plant(clean, `${imports}export const used = [TaskGroup]\nawait systemClock.sleep(1)\n`)

    const { code, output } = await tree.judge('eslint', ['--format', 'json', ...files, clean])
    expect(code).toBe(1)
    const found = JSON.parse(output) as { filePath: string; messages: { ruleId: string | null }[] }[]
    const rulesOf = (path: string): (string | undefined)[] => {
      const messages = found.find(({ filePath }) => filePath.endsWith(path))?.messages
      return (messages ?? [{ ruleId: 'not looked at' }]).map(({ ruleId }) => ruleId?.replace(/^.*\//, ''))
    }
    for (const [index, [name, [rule]]] of Object.entries(FAULTS).entries())
      expect(rulesOf(files[index] ?? ''), name).toContain(rule)
    expect(rulesOf(clean)).toEqual([])
  })
})
