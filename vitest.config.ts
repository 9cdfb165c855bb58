/**
 * The test projects. Unit tests run on the sources and start nothing; all others run on the build, as a user would.
 * Whatever they write lies below one temporary home that is made here and removed after the run (tests/setup/home.ts).
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import LongestFirst from './tests/setup/longest-first.js'

const sources = {
  find: /^@muster\/([a-z-]+)$/,
  replacement: fileURLToPath(new URL('packages/$1/src/index.ts', import.meta.url)),
}
const built = { server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } } }
const patient = { testTimeout: 60_000, hookTimeout: 60_000 }

/**
 * The promises P1 to P8 as a muster on a backend keeps them: `npm test` runs these on a server of each kind (MUSTER_TEST_BACKEND), and with
 * the other integration tests on local. P4 is in wakeups.test.ts and wiped.test.ts, P6 the suite of the backends: they start their own
 * servers. What leads without an orchestrator (silence, stuck) says nothing about a backend.
 */
const promises = [
  'packages/cluster/test/integration/{crash,notebooks}.test.ts',
  'packages/sdk/test/integration/{handle,open,secrets,unavailable}.test.ts',
]

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: [
      'default',
      ...(process.env['MUSTER_TEST_TALLY'] === undefined ? [] : ['./scripts/lib/tally-reporter.ts']),
    ],
    globalSetup: ['tests/setup/home.ts'],
    // A poll waits for what comes to pass; how fast that has to be says a test that measures it, not the poll.
    expect: { poll: { timeout: 15_000 } },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        resolve: { alias: [sources] },
        test: {
          name: 'unit',
          include: ['packages/*/test/unit/**/*.test.ts', 'bench/test/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['packages/*/test/integration/**/*.test.ts'],
          globalSetup: ['tests/setup/engine.ts', 'tests/setup/backend.ts'],
          ...built,
          ...patient,
        },
      },
      {
        extends: true,
        test: {
          name: 'promises',
          include: promises,
          globalSetup: ['tests/setup/engine.ts', 'tests/setup/backend.ts'],
          ...built,
          ...patient,
        },
      },
      { extends: true, test: { name: 'examples', include: ['tests/examples/**/*.test.ts'], ...built, ...patient } },
      {
        extends: true,
        test: { name: 'workshop', include: ['tests/workshop/**/*.test.ts'], ...patient, testTimeout: 180_000 },
      },
    ],
  },
})
