/**
 * Who may import whom. The directions are the architecture: a package sees only what stands below it, and only its index.
 * tests/workshop/import-rules.test.ts plants a violation of each kind and proves that this file catches it.
 */
const BELOW = {
  core: [],
  orchestrator: ['core'],
  'job-manager': ['core'],
  workers: ['core'],
  cluster: ['core', 'orchestrator', 'job-manager'],
  sdk: ['core', 'orchestrator', 'job-manager', 'workers', 'cluster'],
  cli: ['core', 'sdk'],
  testing: ['core', 'orchestrator', 'job-manager', 'workers', 'cluster'],
}

const directions = Object.entries(BELOW).map(([name, below]) => ({
  name: `direction-${name}`,
  comment: `${name} may import ${below.length === 0 ? 'no other package' : below.join(', ')}`,
  severity: 'error',
  from: { path: `^packages/${name}/src/` },
  to: { path: '^packages/', pathNot: `^packages/(${[name, ...below].join('|')})/` },
}))

/** What a package shows: its index; @muster/testing has a second one, since its servers need more than its suites. */
const INDEX = '^packages/([^/]+/src|testing/src/(servers|queue-history))/index\\.ts$'

const between = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...directions,
    between('no-cycle', 'what imports itself cannot be read in any order', {}, { circular: true }),
    between(
      'no-deep-import',
      'another package is its index, nothing else',
      { path: '^packages/([^/]+)/' },
      { path: '^packages/', pathNot: ['^packages/$1/', INDEX] },
    ),
    between(
      'no-deep-import-from-outside',
      'examples, benches and tests use packages as users do',
      { path: '^(examples|bench|tests)/' },
      { path: '^packages/', pathNot: INDEX },
    ),
    between(
      'only-tests-import-testing',
      'the suites are no part of the product',
      { path: '^packages/(?!testing/)[^/]+/src/' },
      { path: '^packages/testing/' },
    ),
    between('not-resolvable', 'a deep import by name, or a missing dependency', {}, { couldNotResolve: true }),
    between(
      'no-undeclared',
      'what a package imports stands in its package.json',
      { path: '^packages/[^/]+/src/' },
      // An optional peer is called undeclared too, because it stands in peerDependenciesMeta as well.
      { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], dependencyTypesNot: ['npm-peer'] },
    ),
    between(
      'cluster-scheduler-is-pure',
      'the scheduler knows neither machines nor launch',
      { path: '^packages/cluster/src/scheduler/' },
      { path: '^packages/cluster/src/(machines|launch)/' },
    ),
    between(
      'cluster-machines-know-nothing',
      'machines know neither launch nor scheduler nor the leader',
      { path: '^packages/cluster/src/machines/' },
      { path: '^packages/cluster/src/', pathNot: '^packages/cluster/src/machines/' },
    ),
    between(
      'cluster-launch-uses-transports',
      'of all machines, launch uses transports only',
      { path: '^packages/cluster/src/launch/' },
      { path: '^packages/cluster/src/', pathNot: '^packages/cluster/src/(launch/|machines/transport\\.ts$)' },
    ),
    between(
      'backends-know-no-facade',
      'a backend imports the seam and core, never what stands on it',
      { path: '^packages/orchestrator/src/backends/' },
      { path: '^packages/orchestrator/src/(orchestrator|index)\\.ts$' },
    ),
    between(
      'backends-know-no-sibling',
      'files of one backend begin with its name',
      { path: '^packages/orchestrator/src/backends/([a-z]+)' },
      { path: '^packages/orchestrator/src/backends/', pathNot: '^packages/orchestrator/src/backends/$1[./-]' },
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.check.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', '/dist/'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
}
