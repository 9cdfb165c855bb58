/** Every shape of repository that people have: the commit arrives whole, or the refusal says why. */
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { gitBench, type Bench } from '../support/git-bench.js'

const run = ['cat', 'hello.txt']
const files = { 'hello.txt': 'hello\n', 'bin/tool': '#!/bin/sh\n' }

async function expectHello(bench: Bench, repo: string, ref?: string): Promise<void> {
  const payload = await bench.resolve({ repo, run, ...(ref !== undefined && { ref }) })
  for (const machine of [bench.local, bench.other]) {
    const ran = await bench.launch(payload, machine)
    expect(ran.workspace.stderr.toString()).toBe('')
    expect(ran.command?.stdout.toString()).toBe('hello\n')
  }
}

const refusal = (bench: Bench, input: { repo: string; ref?: string; history?: 'full' }) =>
  bench.resolve({ run, ...input }).then(
    () => undefined,
    (error: unknown) => error as { code: string; message: string; hint: string },
  )

describe('repositories', () => {
  test('a shallow clone, and the next commit of it', async () => {
    const bench = await gitBench()
    const origin = await bench.repository('origin', { 'hello.txt': 'old\n' })
    await bench.commit(origin, files)
    await bench.git(bench.root, 'clone', '-q', '--depth=1', `file://${origin}`, 'shallow')
    await expectHello(bench, bench.path('shallow'))
    await bench.commit(bench.path('shallow'), { other: 'x' })
    await expectHello(bench, bench.path('shallow'))
  })

  test('a shallow clone has no full history, and says so', async () => {
    const bench = await gitBench()
    const origin = await bench.repository('origin', { 'hello.txt': 'old\n' })
    await bench.commit(origin, files)
    await bench.git(bench.root, 'clone', '-q', '--depth=1', `file://${origin}`, 'shallow')
    const error = await refusal(bench, { repo: bench.path('shallow'), history: 'full' })
    expect(error).toMatchObject({ code: 'GIT_FAILED', hint: expect.stringContaining('--unshallow') as string })
    await bench.git(bench.path('shallow'), 'fetch', '-q', '--unshallow')
    await expect(bench.resolve({ repo: bench.path('shallow'), run, history: 'full' })).resolves.toBeDefined()
  })

  test('a detached HEAD on a commit of no branch, a tag, an expression, an abbreviation', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', files)
    await bench.git(repo, 'tag', '-a', '-m', 'tagged', 'v1')
    const tagged = await bench.git(repo, 'rev-parse', 'HEAD')
    await bench.git(repo, 'checkout', '-q', '--detach')
    await bench.commit(repo, { 'hello.txt': 'other\n' })
    await bench.commit(repo, files)
    for (const ref of ['HEAD', 'v1', 'HEAD~2', tagged.slice(0, 10)]) await expectHello(bench, repo, ref)
  })

  test('a linked worktree, a directory inside, a bare repository: one mirror for all', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', files)
    await bench.git(repo, 'worktree', 'add', '-q', '--detach', bench.path('linked'))
    for (const path of [bench.path('linked'), join(repo, 'bin'), join(repo, '.git')]) await expectHello(bench, path)
    const { mirror } = (await bench.resolve({ repo, run })) as { mirror: string }
    expect(await bench.resolve({ repo: bench.path('linked'), run })).toMatchObject({ mirror })
    await bench.git(bench.root, 'clone', '-q', '--bare', repo, 'bare.git')
    await expectHello(bench, bench.path('bare.git'))
  })

  test('sha256', async () => {
    const bench = await gitBench()
    await expectHello(bench, await bench.repository('repo', files, { format: 'sha256' }))
  })

  test('a partial clone is filled first, for its commit only', async () => {
    const bench = await gitBench()
    const origin = await bench.repository('origin', { 'hello.txt': 'an older text\n' })
    await bench.commit(origin, files)
    await bench.git(origin, 'config', 'uploadpack.allowFilter', 'true')
    await bench.git(origin, 'config', 'uploadpack.allowAnySHA1InWant', 'true')
    const clone = ['clone', '-q', '--no-checkout', '--filter=blob:none', `file://${origin}`, 'partial']
    await bench.git(bench.root, ...clone)
    await expectHello(bench, bench.path('partial'))
    expect(bench.progress.join('\n')).toContain('partial clone')
    const missing = await bench.git(bench.path('partial'), 'rev-list', '--objects', '--missing=print', 'HEAD')
    expect(missing.split('\n').filter((line) => line.startsWith('?'))).toHaveLength(1)
    const count = ['git', 'rev-list', '--count', 'HEAD']
    const full = await bench.resolve({ repo: bench.path('partial'), run: count, history: 'full' })
    expect((await bench.launch(full)).command?.stdout.toString()).toBe('2\n')
  })

  test('submodule entries arrive as they are, without a look at their URL', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', files)
    const modules = '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c "touch /tmp/x"\n'
    await bench.commit(repo, { '.gitmodules': modules })
    const head = await bench.git(repo, 'rev-parse', 'HEAD')
    await bench.git(repo, 'update-index', '--add', '--cacheinfo', `160000,${head},s`)
    await bench.git(repo, 'commit', '-q', '-m', 'with a submodule')
    const ran = await bench.launch(await bench.resolve({ repo, run }))
    expect(await bench.git(ran.workDir, 'ls-files', '-s', 's')).toContain('160000')
  })

  test('old repositories with odd objects are taken', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', files)
    const tree = await bench.git(repo, 'rev-parse', 'HEAD^{tree}')
    await writeFile(bench.path('odd'), `tree ${tree}\nauthor A <a> 0012 +051800\ncommitter A a> 12 +0000\n\nodd\n`)
    const odd = await bench.git(repo, 'hash-object', '-t', 'commit', '-w', '--literally', bench.path('odd'))
    await expectHello(bench, repo, odd)
  })

  test('a path with blanks, quotes and a line break', async () => {
    const bench = await gitBench()
    await expectHello(bench, await bench.repository(`it's "odd"\n$(touch x) -- \\`, files))
  })

  test('a relative path is recorded absolute, with its host', async () => {
    const bench = await gitBench({ host: 'here' })
    const repo = await bench.repository('repo', files)
    const relative = join('..'.repeat(1), '..', '..', '..', '..', '..', '..', '..', '..', repo)
    const payload = await bench.resolve({ repo: relative, run })
    expect(payload).toMatchObject({ repo: relative, ref: 'HEAD', origin: { kind: 'path', host: 'here', path: repo } })
  })
})

describe('refusals, typed', () => {
  test('no such path, no repository, no such ref, no commit yet, a tree', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', files)
    await bench.git(bench.root, 'init', '-q', 'empty')
    await mkdir(bench.path('plain'))
    const tree = await bench.git(repo, 'rev-parse', 'HEAD^{tree}')
    expect(await refusal(bench, { repo: bench.path('nowhere') })).toMatchObject({ code: 'REPO_NOT_FOUND' })
    expect(await refusal(bench, { repo: bench.path('plain') })).toMatchObject({ code: 'REPO_NOT_FOUND' })
    for (const ref of ['nope', 'a'.repeat(40), tree, 'main@{7}', '$(id)'])
      expect(await refusal(bench, { repo, ref })).toMatchObject({ code: 'REF_NOT_FOUND' })
    expect(await refusal(bench, { repo: bench.path('empty') })).toMatchObject({
      code: 'REF_NOT_FOUND',
      message: expect.stringContaining('no commit yet') as string,
    })
  })

  test('a directory for mirrors that is none', async () => {
    const bench = await gitBench({ mirrorsDirectory: '/dev/null/mirrors' })
    const repo = await bench.repository('repo', files)
    expect(await refusal(bench, { repo })).toMatchObject({ code: 'MIRROR_UNUSABLE' })
  })

  test.runIf(process.geteuid?.() === 0)('a repository of another user, with the line that allows it', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('their repo', files)
    for (const path of [repo, join(repo, '.git')]) await chown(path, 12_345, 12_345)
    const error = await refusal(bench, { repo })
    expect(error).toMatchObject({ code: 'REPO_FOREIGN_OWNER' })
    const line = error?.hint.replace(/^.*?run: /, '') ?? ''
    const configuration = join(process.env.HOME ?? '', '.gitconfig')
    const before = await readFile(configuration, 'utf8')
    const allowed = await bench.local.run(`HOME=${JSON.stringify(process.env.HOME)}; ${line}`)
    expect(allowed.code).toBe(0)
    try {
      await expectHello(bench, repo)
    } finally {
      await writeFile(configuration, before)
    }
  })
})

describe('between submit and launch', () => {
  test('a mirror deleted by hand is filled again; without its source the error says so', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', files)
    const payload = await bench.resolve({ repo, run })
    await rm(bench.mirrors, { recursive: true })
    expect((await bench.launch(payload)).command?.stdout.toString()).toBe('hello\n')
    await rm(bench.mirrors, { recursive: true })
    await rm(repo, { recursive: true })
    await expect(bench.prepare(payload)).rejects.toMatchObject({
      code: 'COMMIT_UNAVAILABLE',
      message: expect.stringContaining(repo) as string,
    })
  })

  test('a leader on another host names the host that has the repository', async () => {
    const bench = await gitBench({ host: 'there' })
    const payload = { ...((await bench.resolve({ repo: await bench.repository('repo', files), run })) as object) }
    await rm(bench.mirrors, { recursive: true })
    const moved = { ...payload, origin: { kind: 'path', host: 'laptop', path: '/r', gitDirectory: '/r/.git' } }
    await expect(bench.prepare(moved)).rejects.toMatchObject({
      code: 'COMMIT_UNAVAILABLE',
      message: expect.stringContaining('host laptop') as string,
    })
  })
})
