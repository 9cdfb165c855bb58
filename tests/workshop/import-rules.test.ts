/** The import rules are only worth something if they go red: one violation of each kind, planted in a copy of the tree. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PlantedTree, type Verdict } from './planted.js'

interface Fault {
  readonly what: string
  /** The rule that must speak. */
  readonly rule: string
  /** The file that breaks it. */
  readonly file: string
  readonly text: string
}

const FAULTS: readonly Fault[] = [
  {
    what: 'core imports orchestrator',
    rule: 'direction-core',
    file: 'packages/core/src/planted-up.ts',
    text: "import '@muster/orchestrator'\n",
  },
  {
    what: 'cluster imports workers',
    rule: 'direction-cluster',
    file: 'packages/cluster/src/planted-workers.ts',
    text: "import '@muster/workers'\n",
  },
  {
    what: 'cluster imports a type of workers',
    rule: 'direction-cluster',
    file: 'packages/cluster/src/planted-type.ts',
    text: "export type { GitWorker } from '@muster/workers'\n",
  },
  {
    what: 'cli passes the sdk by',
    rule: 'direction-cli',
    file: 'packages/cli/src/planted-past.ts',
    text: "import '@muster/job-manager'\n",
  },
  {
    what: 'the product imports the suites',
    rule: 'only-tests-import-testing',
    file: 'packages/cluster/src/planted-suite.ts',
    text: "import '@muster/testing'\n",
  },
  {
    what: 'a deep import by path',
    rule: 'no-deep-import',
    file: 'packages/sdk/src/planted-path.ts',
    text: "import '../../core/src/units.js'\n",
  },
  {
    what: 'a deep import by name',
    rule: '(no-deep-import|not-resolvable)',
    file: 'packages/sdk/src/planted-name.ts',
    text: "import '@muster/core/dist/units.js'\n",
  },
  {
    what: 'a deep import from an example',
    rule: 'no-deep-import-from-outside',
    file: 'examples/planted.ts',
    text: "import '../packages/core/src/units.js'\n",
  },
  {
    what: 'a cycle',
    rule: 'no-cycle',
    file: 'packages/core/src/planted-cycle-a.ts',
    text: "import './planted-cycle-b.js'\n",
  },
  {
    what: 'the scheduler looks at machines',
    rule: 'cluster-scheduler-is-pure',
    file: 'packages/cluster/src/scheduler/planted.ts',
    text: "export type { Transport } from '../machines/transport.js'\n",
  },
  {
    what: 'a backend knows its sibling',
    rule: 'backends-know-no-sibling',
    file: 'packages/orchestrator/src/backends/planted.ts',
    text: "import './other.js'\n",
  },
]
const BESIDE = {
  'packages/core/src/planted-cycle-b.ts': "import './planted-cycle-a.js'\n",
  'packages/core/dist/units.js': 'export {}\n',
  'packages/orchestrator/src/backends/other.ts': 'export {}\n',
}

describe('import rules', () => {
  const tree = new PlantedTree()
  afterAll(() => {
    tree.remove()
  })
  const cruise = (): Promise<Verdict> => tree.judge('depcruise', ['packages/*/src', 'examples'])
  let planted: Verdict

  it('pass the tree as it is', async () => {
    tree.plant('examples/nothing.ts', 'export {}\n')
    const { code, output } = await cruise()
    expect(output).toContain('no dependency violations found')
    expect(code).toBe(0)
  })

  describe('with faults planted', () => {
    beforeAll(async () => {
      for (const { file, text } of FAULTS) tree.plant(file, text)
      for (const [file, text] of Object.entries(BESIDE)) tree.plant(file, text)
      planted = await cruise()
    })

    it('are red', () => {
      expect(planted.code).not.toBe(0)
    })

    it.each(FAULTS)('catch: $what', ({ rule, file }) => {
      expect(planted.output).toMatch(new RegExp(`error ${rule}: ${file.replaceAll('.', '\\.')}`))
    })
  })
})
