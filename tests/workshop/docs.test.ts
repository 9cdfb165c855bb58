/** Pages that derive from code are checked against it: an old page is red, and writing it again makes it green. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PlantedTree, type Verdict } from './planted.js'

let tree: PlantedTree
beforeAll(() => {
  tree = new PlantedTree()
})
afterAll(() => {
  tree.remove()
})

const docs = (...args: string[]): Promise<Verdict> =>
  tree.judge('tsx', [resolve(import.meta.dirname, '../../scripts/docs.ts'), '--root', tree.root, ...args])

describe('generated docs', () => {
  it('are current in the tree as it is', async () => {
    expect(await docs('--check')).toMatchObject({ code: 0 })
  })

  it.each(['docs/errors.md', 'docs/job-states.md', 'README.md'])(
    'catch a %s that lost a line, and mend it',
    async (page) => {
      const file = join(tree.root, page)
      const right = readFileSync(file, 'utf8')
      writeFileSync(file, right.replace(/^(\| .*queue|const|  const).*\n/m, ''))
      const { code, output } = await docs('--check')
      expect(code).toBe(1)
      expect(output).toContain(`${page} is not what its source says`)
      expect(await docs()).toMatchObject({ code: 0 })
      expect(readFileSync(file, 'utf8')).toBe(right)
    },
  )
})
