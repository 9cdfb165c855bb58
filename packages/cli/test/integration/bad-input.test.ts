/** Bad input: a typed error with code, message and hint, soon, nothing half-recorded, and no stack on the user's screen. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Sandbox, type Outcome } from './cli.js'

let box: Sandbox

beforeEach(async () => {
  box = await Sandbox.open()
})
afterEach(() => box.close())

function expectTyped({ stdout, stderr }: Outcome, code: string): void {
  expect(stderr).toContain(`[${code}]`)
  expect(stderr).toMatch(/^hint: ./m)
  expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m)
  expect(stdout).toBe('')
}

async function expectNothingRecorded(): Promise<void> {
  const { code, stdout } = await box.muster('ps', '--all', '--json')
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
}

describe('P8 what cannot be is refused with a reason, before anything is recorded', () => {
  test('unknown repository, ref and protocol', async () => {
    const missing = await box.muster('submit', '--repo', './nowhere', '--', 'true')
    expectTyped(missing, 'REPO_NOT_FOUND')
    expect(missing.code).toBe(1)
    await box.repository({ 'a.txt': 'a' })
    expectTyped(await box.muster('submit', '--ref', 'no-such-branch', '--', 'true'), 'REF_NOT_FOUND')
    expectTyped(await box.muster('submit', '--ref', '--upload-pack=touch pwned', '--', 'true'), 'REF_INVALID')
    expectTyped(await box.muster('submit', '--repo', 'ext::sh -c touch% pwned', '--', 'true'), 'REPO_UNSAFE')
    await expectNothingRecorded()
  })

  test('a directory that is no repository, and one without a commit', async () => {
    expectTyped(await box.muster('submit', '--', 'true'), 'REPO_NOT_FOUND')
    await mkdir(join(box.project, '.git'))
    expectTyped(await box.muster('submit', '--', 'true'), 'REPO_NOT_FOUND')
    await expectNothingRecorded()
  })

  test('unknown machine, and more than any machine has', async () => {
    expectTyped(await box.muster('submit', '--no-repo', '--machine', 'gpu7', '--', 'true'), 'UNKNOWN_MACHINE')
    const run = await box.muster('run', '--no-repo', '--gpus', '512', '--', 'true')
    expectTyped(run, 'UNPLACEABLE')
    expect(run.code).toBe(125)
    await expectNothingRecorded()
  })

  test('unknown key and malformed YAML name file and line', async () => {
    await writeFile(join(box.project, 'muster.yaml'), '# mine\nbackned: local\n')
    const unknown = await box.muster('ps')
    expectTyped(unknown, 'CONFIG_INVALID')
    expect(unknown.stderr).toMatch(/muster\.yaml:2: unknown key "backned"; did you mean "backend"\?/)
    await writeFile(join(box.project, 'muster.yaml'), 'machines:\n  - { name: local\n')
    const malformed = await box.muster('ps')
    expectTyped(malformed, 'CONFIG_INVALID')
    expect(malformed.stderr).toMatch(/muster\.yaml:\d+: /)
  })

  test('a configuration that others may write', async () => {
    await writeFile(join(box.project, 'muster.yaml'), 'backend: local\n')
    await chmod(join(box.project, 'muster.yaml'), 0o666)
    expectTyped(await box.muster('ps'), 'CONFIG_UNSAFE')
  })

  test('a record whose directory is missing, or cannot be written even by root', async () => {
    box.env['MUSTER_STORE'] = 'sqlite:missing/jobs.db'
    expectTyped(await box.muster('submit', '--no-repo', '--', 'true'), 'STORE_NOT_FOUND')
    box.env['MUSTER_STORE'] = 'sqlite:/sys/jobs.db'
    expectTyped(await box.muster('submit', '--no-repo', '--', 'true'), 'STORE_READ_ONLY')
  })

  test('a file that is no record', async () => {
    await writeFile(
      join(box.project, 'jobs.db'),
      'this is no database, and long enough to see that it is none'.repeat(100),
    )
    box.env['MUSTER_STORE'] = 'sqlite:jobs.db'
    expectTyped(await box.muster('ps'), 'STORE_CORRUPT')
  })

  test('an id that nobody has', async () => {
    for (const command of ['show', 'logs', 'explain', 'cancel', 'restart']) {
      const outcome = await box.muster(command, '0192aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa')
      expectTyped(outcome, 'JOB_NOT_FOUND')
      expect(outcome.code).toBe(1)
    }
  })

  test('with --json the error is an object', async () => {
    const { stderr } = await box.muster('show', 'nothing-of-that-name', '--json')
    const last = stderr.trim().split('\n').at(-1) ?? ''
    expect(JSON.parse(last)).toMatchObject({ type: 'error', error: { code: 'JOB_NOT_FOUND', retryable: false } })
  })
})

describe('wrong usage', () => {
  test.each([
    ['an unknown command', ['lauch']],
    ['an unknown option', ['ps', '--al']],
    ['no command to run', ['submit']],
    ['a priority that is no number', ['submit', '--priority', 'high', '--', 'true']],
    ['a variable without a value', ['submit', '--env', 'A', '--', 'true']],
    ['a state that does not exist', ['ps', '--state', 'done']],
  ])('%s: exit code 2, one line, no stack', async (_, args) => {
    const { code, stdout, stderr } = await box.muster(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^error: /)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('of run: 125, since 2 could be the code of the job', async () => {
    expect((await box.muster('run', '--nonsense', '--', 'true')).code).toBe(125)
  })

  test('help and version are no errors', async () => {
    const help = await box.muster('run', '--help')
    expect(help.code).toBe(0)
    for (const option of [
      '--repo',
      '--no-repo',
      '--ref',
      '--machine',
      '--cwd',
      '--setup',
      '--env',
      '--secret',
      '--artifact',
    ])
      expect(help.stdout).toContain(option)
    expect((await box.muster('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('priority out of range and an odd duration are refused by the words of the option', async () => {
    expectTyped(await box.muster('submit', '--no-repo', '--priority', '12', '--', 'true'), 'INVALID_ARGUMENT')
    expectTyped(await box.muster('submit', '--no-repo', '--timeout', 'soon', '--', 'true'), 'INVALID_ARGUMENT')
  })
})
