import { describe, expect, test } from 'vitest'
import { rm } from 'node:fs/promises'
import { gitBench } from '../support/git-bench.js'

const run = ['cat', 'hello.txt']

describe('a commit gets to a machine', () => {
  for (const where of ['local', 'other'] as const) {
    test(`a git job runs in a checkout of its commit (${where})`, async () => {
      const bench = await gitBench()
      const repo = await bench.repository('a repo', { 'hello.txt': 'hello\n', 'bin/x': 'x' })
      const ran = await bench.launch(await bench.resolve({ repo, run }), bench[where])
      expect(ran.workspace.stderr.toString()).toBe('')
      expect(ran.command).toMatchObject({ code: 0, stdout: Buffer.from('hello\n') })
      expect(await bench.git(ran.workDir, 'status', '--porcelain')).toBe('')
      expect(await bench.git(ran.workDir, 'rev-list', '--count', 'HEAD')).toBe('1')
    })

    test(`the commit of the submit runs, though the repository changed and vanished (${where})`, async () => {
      const bench = await gitBench()
      const repo = await bench.repository('repo', { 'hello.txt': 'first\n' })
      const payload = await bench.resolve({ repo, run })
      await bench.commit(repo, { 'hello.txt': 'second\n' })
      await rm(repo, { recursive: true })
      const ran = await bench.launch(payload, bench[where])
      expect(ran.command?.stdout.toString()).toBe('first\n')
    })

    test(`full history is there when asked for (${where})`, async () => {
      const bench = await gitBench()
      const repo = await bench.repository('repo', { 'hello.txt': '1\n' })
      for (const text of ['2\n', '3\n']) await bench.commit(repo, { 'hello.txt': text })
      const count = ['git', 'rev-list', '--count', 'HEAD']
      const first = await bench.resolve({ repo, run: count, history: 'full' })
      expect((await bench.launch(first, bench[where])).command?.stdout.toString()).toBe('3\n')
      await bench.commit(repo, { 'hello.txt': '4\n' })
      const second = await bench.resolve({ repo, run: count, history: 'full' })
      expect((await bench.launch(second, bench[where])).command?.stdout.toString()).toBe('4\n')
    })
  }

  test('a second submit of a commit brings nothing, and a neighbour only what differs', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': '1\n' })
    const first = await bench.resolve({ repo, run })
    expect(bench.progress).toHaveLength(1)
    expect(await bench.resolve({ repo, run })).toEqual(first)
    expect(bench.progress).toHaveLength(1)
    await bench.commit(repo, { 'hello.txt': '2\n' })
    for (const payload of [first, await bench.resolve({ repo, run })]) await bench.launch(payload, bench.other)
    const again = bench.progress.length
    await bench.launch(first, bench.other)
    expect(bench.progress).toHaveLength(again)
  })
})
