/** Repositories behind a URL: the protocol is git's own, over a stand-in for ssh that runs here what git asks for. */
import { readFile, writeFile } from 'node:fs/promises'
import { silentLogger } from '@muster/core'
import { gitWorker } from '@muster/workers'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { setEnvironment } from '../support/environment.js'
import { gitBench, type Bench } from '../support/git-bench.js'

const run = ['cat', 'hello.txt']

/** Makes git's ssh a script; gives the lines that it was called with. */
async function useSsh(bench: Bench, script: string): Promise<() => Promise<string[]>> {
  const log = bench.path('ssh.log')
  await writeFile(log, '')
  await writeFile(bench.path('ssh'), `#!/bin/sh\nprintf '%s\\n' "$*" >> ${log}\n${script}\n`, { mode: 0o755 })
  await writeFile(join(bench.home, '.gitconfig'), `[core]\n  sshCommand = ${bench.path('ssh')}\n`)
  setEnvironment({ HOME: bench.home, XDG_CONFIG_HOME: join(bench.home, '.config') })
  return async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '')
}

const HERE = 'for last; do :; done; exec sh -c "$last"'

describe('repositories behind a URL', () => {
  test('a branch, a tag, HEAD and a hash; what is kept needs no network', async () => {
    const bench = await gitBench()
    const path = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    await bench.git(path, 'tag', '-a', '-m', 'tagged', 'v1')
    const commit = await bench.git(path, 'rev-parse', 'HEAD')
    await bench.git(path, 'branch', 'feature/main', await bench.commit(path, { 'hello.txt': 'other\n' }))
    await bench.git(path, 'branch', 'a/main')
    await bench.git(path, 'reset', '-q', '--hard', commit)
    const calls = await useSsh(bench, HERE)
    for (const repo of [`git@example.org:${path}`, `ssh://alice@example.org${path}`])
      for (const ref of ['HEAD', 'main', 'v1', 'refs/heads/main', commit])
        expect(await bench.resolve({ repo, ref, run })).toMatchObject({ commit, origin: { kind: 'url', url: repo } })
    const before = (await calls()).length
    const payload = await bench.resolve({ repo: `git@example.org:${path}`, ref: commit, run })
    for (const machine of [bench.local, bench.other])
      expect((await bench.launch(payload, machine)).command?.stdout.toString()).toBe('hello\n')
    expect(await calls()).toHaveLength(before)
  })

  test('typed refusals: no such ref, no such repository, no such host', async () => {
    const bench = await gitBench()
    const path = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    await useSsh(bench, HERE)
    const refusals: [string, string, string][] = [
      [`git@example.org:${path}`, 'nope', 'REF_NOT_FOUND'],
      [`git@example.org:${path}`, 'a'.repeat(40), 'REF_NOT_FOUND'],
      [`git@example.org:${path}-not`, 'main', 'REPO_NOT_FOUND'],
      ['https://127.0.0.1:1/x', 'main', 'REPO_NOT_FOUND'],
    ]
    for (const [repo, ref, code] of refusals)
      await expect(bench.resolve({ repo, ref, run })).rejects.toMatchObject({ code })
  })

  test('a server that says nothing is given up, an abort is an abort, and nothing is left behind', async () => {
    const bench = await gitBench({ silenceMs: 300 })
    const pids = bench.path('pids')
    await useSsh(bench, `echo $$ >> ${pids}\ntrap '' TERM\nsleep 300 & wait; sleep 300`)
    await expect(bench.resolve({ repo: 'git@example.org:x', ref: 'main', run })).rejects.toMatchObject({
      code: 'GIT_FAILED',
      message: expect.stringContaining('no progress') as string,
    })
    const abort = new AbortController()
    const worker = gitWorker({ mirrorsDirectory: bench.mirrors })
    const context = { signal: abort.signal, logger: silentLogger, progress: () => undefined }
    const resolving = worker.resolve({ repo: 'git@example.org:x', ref: 'main', run }, context)
    await expect.poll(async () => (await readFile(pids, 'utf8')).split('\n').length).toBe(3)
    abort.abort()
    await expect(resolving).rejects.toMatchObject({ name: 'AbortError' })
    const started = (await readFile(pids, 'utf8')).trim().split('\n')
    await expect.poll(async () => (await Promise.all(started.map(isRunning))).filter(Boolean)).toEqual([])
  })
})

/** Zombies aside: whether they are reaped is the business of this host's first process. */
async function isRunning(pid: string): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return !/\) Z/.test(stat)
}
