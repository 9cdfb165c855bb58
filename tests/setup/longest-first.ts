/**
 * The order of test files: those that take a minute or more begin first, so that the workers end together. Where vitest knows no times of
 * an earlier run, as in CI, it goes by the size of files, and the longest suites are called from the smallest.
 */
import { existsSync } from 'node:fs'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Longest first. What is not named comes after these, in the order of vitest. */
const LONG = [
  'packages/orchestrator/test/integration/rabbitmq.test.ts',
  'packages/sdk/test/integration/wiped.test.ts',
  'packages/cli/test/integration/queue.test.ts',
  'packages/cluster/test/integration/launcher-ssh.test.ts',
  'packages/cluster/test/integration/transport-ssh.test.ts',
  'packages/orchestrator/test/integration/redis.test.ts',
  'packages/cluster/test/integration/ssh-faults.test.ts',
  'packages/job-manager/test/integration/sqlite.test.ts',
  'packages/cluster/test/integration/wakeups.test.ts',
  'packages/sdk/test/integration/switching.test.ts',
  'packages/cli/test/integration/machines-ssh.test.ts',
  'packages/orchestrator/test/integration/durability.test.ts',
  'packages/orchestrator/test/integration/facade.test.ts',
  'packages/cluster/test/integration/nothing-lost-connection.test.ts',
  'packages/cluster/test/integration/launcher-local.test.ts',
  'packages/testing/test/integration/queue-servers.test.ts',
  'packages/cli/test/integration/commands.test.ts',
  'packages/cli/test/integration/machines.test.ts',
  'packages/sdk/test/integration/fleet.test.ts',
]

/** See the file's head. */
export default class LongestFirst extends BaseSequencer {
  /** @throws Error where a file that is named here is no longer there */
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const gone = LONG.filter((path) => !existsSync(path))
    if (gone.length > 0) throw new Error(`tests/setup/longest-first.ts names files that are gone: ${gone.join(', ')}`)
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((path) => moduleId.endsWith(`/${path}`))
      return at < 0 ? LONG.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}
