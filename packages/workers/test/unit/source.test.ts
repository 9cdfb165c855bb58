import { describe, expect, test } from 'vitest'
import { checkRef, parseSource } from '../../src/git/source.js'

const code = (call: () => unknown): unknown => {
  try {
    call()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return undefined
}

describe('what may be named as a repository', () => {
  test.each([
    ['.', 'path'],
    ['/a b/"c"\n$(d)', 'path'],
    ['./host:path', 'path'],
    ['sub/ext::sh', 'path'],
    ['https://example.org/lab/vision.git', 'url'],
    ['https://example.org:8443/x', 'url'],
    ['ssh://alice@example.org:2222/srv/x.git', 'url'],
    ['git@example.org:lab/vision.git', 'url'],
    ['example.org:vision', 'url'],
    ['git@[::1]:x', 'url'],
  ])('%j is a %s', (repo, kind) => expect(parseSource(repo).kind).toBe(kind))

  test.each([
    '',
    'a\0b',
    '-x',
    '--upload-pack=touch /tmp/x',
    'ext::sh -c touch% /tmp/x',
    'fd::17',
    'http://example.org/x',
    'git://example.org/x',
    'file:///srv/x',
    'ftp://example.org/x',
    'https://alice@example.org/x',
    'https://alice:pw@example.org/x',
    'https://example.org/x?token=pw',
    'https://example.org/x#pw',
    'https://exa\nmple.org/x',
    'https://example.org\\@evil/x',
    'https:///x',
    'ssh://alice:pw@example.org/x',
    'ssh://-oProxyCommand=x/y',
    'ssh://-l@example.org/y',
    '-oProxyCommand=x:y',
    'example.org:-x',
    'alice:pw@example.org:x',
    'host name:x',
  ])('%j is refused', (repo) => expect(code(() => parseSource(repo))).toBe('REPO_UNSAFE'))

  test('P7 a refusal does not repeat what may be a password', () => {
    for (const repo of ['https://alice:hunter2@h/x', 'ssh://a:hunter2@h/x', 'a:hunter2@h:x', 'https://h/?t=hunter2'])
      expect(() => parseSource(repo)).toThrow(expect.not.stringContaining('hunter2') as string)
  })
})

describe('what may be named as a ref', () => {
  const path = parseSource('.')
  const url = parseSource('https://example.org/x')

  test.each(['main', 'HEAD', 'HEAD~3', 'v1^{}', 'a/b', '$(id)', "it's", 'main@{1}', '@'])('%j of a path', (ref) =>
    expect(code(() => checkRef(ref, path))).toBe(undefined),
  )
  test.each([
    '-x',
    '--upload-pack=x',
    'ext::sh',
    'a b',
    'a\nb',
    'a\0b',
    'HEAD:file',
    ':/text',
    'a..b',
    'a*',
    'x'.repeat(1_001),
  ])('%j is refused everywhere', (ref) =>
    expect([path, url].map((source) => code(() => checkRef(ref, source)))).toEqual(['REF_INVALID', 'REF_INVALID']),
  )
  test.each(['HEAD~1', 'main^', 'main@{1}', '@', '/a', 'a/', 'a//b', '.a', 'a.lock'])('%j of a URL is refused', (ref) =>
    expect(code(() => checkRef(ref, url))).toBe('REF_INVALID'),
  )
})
