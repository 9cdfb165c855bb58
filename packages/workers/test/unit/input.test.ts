import { describe, expect, test } from 'vitest'
import { command, git } from '../../src/index.js'

const run = ['true']
const thrown = (call: () => unknown): { code?: unknown; message?: string } => {
  try {
    call()
  } catch (error) {
    return error as { code?: unknown; message?: string }
  }
  return {}
}

describe('definitions', () => {
  test('a definition holds the input as written, and the secrets beside it', () => {
    const secrets = { TOKEN: { env: 'X' } }
    expect(git({ repo: '.', run, secrets })).toEqual({ worker: 'git', input: { repo: '.', run }, secrets })
    expect(command({ run: 'echo hello', cwd: 'a' })).toEqual({
      worker: 'command',
      input: { run: 'echo hello', cwd: 'a' },
      secrets: {},
    })
  })

  test('the file of a secret is made absolute', () => {
    const { secrets } = command({ run, secrets: { KEY: { file: 'k' } } })
    expect(secrets).toEqual({ KEY: { file: `${process.cwd()}/k` } })
  })

  test('odd but possible values pass byte for byte', () => {
    const env = { A: 'line\nbreak "quoted" $(x) \u0001', B: '' }
    const odd = ["it's", '$(touch /tmp/x)', '--', '-rf', '', '\n']
    expect(command({ run: odd, env, artifacts: ['**/*.txt', "o'dd"] }).input).toMatchObject({ run: odd, env })
  })
})

describe('bad input names its field', () => {
  test.each([
    ['run', { run: [] }],
    ['run', { run: [''] }],
    ['run', { run: '  ' }],
    ['run', { run: 7 }],
    ['run.1', { run: ['a', 'b\0c'] }],
    ['run', { run: 'a\0b' }],
    ['run.0', { run: ['x'.repeat(131_072)] }],
    ['setup', { run, setup: [] }],
    ['cwd', { run, cwd: '/etc' }],
    ['cwd', { run, cwd: 'a/../../b' }],
    ['cwd', { run, cwd: '' }],
    ['artifacts.0', { run, artifacts: ['../x'] }],
    ['artifacts.0', { run, artifacts: ['/x'] }],
    ['env.MUSTER_X', { run, env: { MUSTER_X: '1' } }],
    ['env.GIT_DIR', { run, env: { GIT_DIR: '1' } }],
    ['env.a-b', { run, env: { 'a-b': '1' } }],
    ['env.A', { run, env: { A: 'b\0c' } }],
    ['env.A', { run, env: { A: 'half \ud800' } }],
    ['Unrecognized key: "rnu"', { run, rnu: 1 }],
    ['secrets.A', { run, env: { A: '1' }, secrets: { A: { env: 'A' } } }],
  ])('%s', (field, input) => {
    const error = thrown(() => command(input as Parameters<typeof command>[0]))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain(field)
  })

  test('git refuses what the policy refuses, before anything is recorded', () => {
    expect(thrown(() => git({ repo: 'https://a:b@h/x', run })).code).toBe('REPO_UNSAFE')
    expect(thrown(() => git({ repo: '.', ref: '--upload-pack=x', run })).code).toBe('REF_INVALID')
    expect(thrown(() => git({ repo: '.', run, fetch: 'machine' })).message).toContain('git.fetch')
    expect(thrown(() => git({ repo: 'git@host:x', run, fetch: 'somebody' as never })).message).toContain('git.fetch')
    expect(git({ repo: 'git@host:x', run, fetch: 'machine' }).input).toMatchObject({ fetch: 'machine' })
    expect(thrown(() => git({ repo: '.', run, history: 'some' as never })).message).toContain('git.history')
  })
})
