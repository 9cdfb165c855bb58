import { describe, expect, test } from 'vitest'
import { gitFailure, redact } from '../../src/git/git-errors.js'

const failure = (said: string, code: number | null = 128) => gitFailure({ args: ['-C', '/x', 'fetch'], code, said })

describe("git's words become typed errors", () => {
  test.each([
    ["fatal: cannot change to '/x': No such file or directory", 'REPO_NOT_FOUND'],
    ['fatal: not a git repository (or any of the parent directories): .git', 'REPO_NOT_FOUND'],
    ['ERROR: Repository not found.\nfatal: Could not read from remote repository.', 'REPO_NOT_FOUND'],
    ["fatal: could not read Username for 'https://h': terminal prompts disabled", 'REPO_NOT_FOUND'],
    ["fatal: unable to access 'https://h/': Could not resolve host: h", 'REPO_NOT_FOUND'],
    ['fatal: remote error: upload-pack: not our ref 1234', 'REF_NOT_FOUND'],
    ["fatal: transport 'ext' not allowed", 'REPO_UNSAFE'],
    ['fatal: something new', 'GIT_FAILED'],
    ['', 'GIT_FAILED'],
  ])('%j is %s', (said, code) => expect(failure(said).code).toBe(code))

  test('a foreign repository is refused with the line that allows it', () => {
    const error = failure("fatal: detected dubious ownership in repository at '/a b'\nTo add an exception …")
    expect(error.code).toBe('REPO_FOREIGN_OWNER')
    expect(error.hint).toContain("git config --global --add safe.directory '/a b' && git config")
    expect(error.hint).toContain("safe.directory '/a b/.git'")
  })

  test('what ssh said is more telling than that git could not read', () => {
    const said =
      'git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure'
    expect(failure(said)).toMatchObject({
      code: 'REPO_NOT_FOUND',
      message: 'the repository cannot be read: git@h: Permission denied (publickey).',
    })
    expect(failure('fatal: Could not read from remote repository.').message).toContain('Could not read')
  })

  test('options that git does not know mean that it is too old', () =>
    expect(failure('error: unknown option `path-format`', 129).code).toBe('GIT_MISSING'))

  test('P7 no user info and no query survives', () => {
    const text = "fatal: unable to access 'https://alice:hunter2@h/x?token=hunter2': ssh://bob:hunter2@h/y"
    expect(redact(text)).toBe("fatal: unable to access 'https://h/x': ssh://h/y")
    expect(JSON.stringify(failure(text))).not.toContain('hunter2')
  })
})
