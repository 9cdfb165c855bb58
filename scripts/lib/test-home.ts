/**
 * The environment of a test run. Invariant: everything a test writes, and everything its processes work in, lies below one
 * root, so that a sweep can tell ours from all else on the machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Names the root of a run in the environment of all its processes. */
export const ROOT_VARIABLE = 'MUSTER_TEST_ROOT'

/** Makes the directories of a run below `root` and gives the variables that lead there. */
export function testEnvironment(root: string): Record<string, string> {
  const home = join(root, 'home')
  const scratch = join(root, 'tmp')
  for (const directory of [home, scratch]) mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(home, '.gitconfig'), gitConfig(process.cwd()))
  return {
    [ROOT_VARIABLE]: root,
    HOME: home,
    TMPDIR: scratch,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_STATE_HOME: join(home, '.local/state'),
    XDG_CACHE_HOME: join(home, '.cache'),
  }
}

/** A fresh machine has no identity for commits, and a checkout in CI often belongs to another user than the one who tests. */
function gitConfig(checkout: string): string {
  return [
    '[user]\n\tname = A Tester\n\temail = tester@example.invalid',
    '[init]\n\tdefaultBranch = main',
    `[safe]\n\tdirectory = ${checkout}\n`,
  ].join('\n')
}
