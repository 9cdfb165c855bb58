/**
 * `npm run check`: everything that can be said about the tree without starting it, and the unit tests. One line for each
 * step; what failed shows its output. The build comes first, because the published face (exports, surface) is read from it.
 */
import { availableParallelism } from 'node:os'
import { run, tool, type RunOptions } from './lib/run.js'
import { runSteps, type Step } from './lib/steps.js'

const command = (name: string, line: readonly string[], options: RunOptions = {}): Step => ({
  name,
  run: () => run(line, { limitMs: 300_000, ...options }),
})

const BUILD = command('build', tool('tsc', '-b'))

/** The long ones first, so that two lanes end at about the same time. */
const STEPS: readonly Step[] = [
  { ...command('unit tests', tool('vitest', 'run', '--project', 'unit')), counted: true },
  command('lint', tool('eslint', '.', '--max-warnings', '0')),
  command('types of tests, examples, benches', tool('tsc', '-p', 'tsconfig.check.json')),
  command('format', tool('prettier', '--check', '--log-level', 'warn', '.')),
  command('public surface', tool('tsx', 'scripts/surface.ts')),
  command('package exports', tool('tsx', 'scripts/exports.ts')),
  command('import rules', tool('depcruise', 'packages/*/{src,test}', 'examples', 'bench', 'scripts', 'tests')),
  command('dead code', tool('knip', '--no-progress', '--no-config-hints')),
  command('generated docs', tool('tsx', 'scripts/docs.ts', '--check')),
]

const built = await runSteps([BUILD], 1)
const checked = await runSteps(STEPS, Math.max(2, Math.min(4, availableParallelism())))
process.exitCode = built && checked ? 0 : 1
