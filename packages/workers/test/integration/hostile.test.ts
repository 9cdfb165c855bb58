/** P7 and Launcher 10 for git: whatever a repository, a home directory, a name or an environment holds, only git runs. */
import { command, commandWorker, dirty } from '@muster/workers'
import { silentLogger, type JsonValue } from '@muster/core'
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { setEnvironment } from '../support/environment.js'
import { gitBench, type Bench } from '../support/git-bench.js'
import { machineAt, runPlan } from '../support/machine.js'

const run = ['cat', 'hello.txt']
const HOOKS = ['post-checkout', 'reference-transaction', 'post-index-change', 'pre-commit', 'post-merge', 'pre-receive']

/** A program that leaves a marker whoever starts it, and a place to count markers. */
async function trap(bench: Bench): Promise<{ program: string; markers: () => Promise<string[]> }> {
  const directory = bench.path('markers')
  await mkdir(directory)
  const program = bench.path('trap')
  await writeFile(program, `#!/bin/sh\n: > ${directory}/$(date +%s%N)\ncat\n`, { mode: 0o755 })
  return { program, markers: () => readdir(directory) }
}

async function hooksAt(directory: string, program: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const hook of HOOKS) {
    await writeFile(join(directory, hook), `#!/bin/sh\nexec ${program}\n`)
    await chmod(join(directory, hook), 0o755)
  }
}

/** Configuration that makes a careless git run `program` at every step. */
const hostile = (program: string, directory: string): string => `
[core]
  fsmonitor = ${program}
  hooksPath = ${directory}/hooks
  attributesFile = ${directory}/attributes
  pager = ${program}
  editor = ${program}
  alternateRefsCommand = ${program}
[init]
  templateDir = ${directory}/template
[filter "evil"]
  smudge = ${program}
  clean = ${program}
  required = true
[filter "lfs"]
  process = ${program}
  required = true
[diff]
  external = ${program}
[gc]
  auto = 1
`

describe('nothing runs but git', () => {
  test('hooks, filters, monitors, templates and attributes of repository, home and machine', async () => {
    const bench = await gitBench()
    const { program, markers } = await trap(bench)
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'
    const files = { 'hello.txt': 'hello\n', 'big.bin': pointer, '.gitattributes': '* filter=evil\n*.bin filter=lfs\n' }
    const repo = await bench.repository('repo', files)
    // From here on git is hostile everywhere: in the repository and in the home of controller and machine.
    const evil = bench.path('evil')
    await hooksAt(join(evil, 'hooks'), program)
    await hooksAt(join(evil, 'template/hooks'), program)
    await hooksAt(join(repo, '.git/hooks'), program)
    await writeFile(join(evil, 'attributes'), '* filter=evil\n')
    await writeFile(join(bench.home, '.gitconfig'), hostile(program, evil))
    await writeFile(join(repo, '.git/config'), hostile(program, evil), { flag: 'a' })
    await mkdir(join(bench.home, '.config/git'), { recursive: true })
    await writeFile(join(bench.home, '.config/git/attributes'), '* filter=evil\n')
    setEnvironment({ HOME: bench.home, XDG_CONFIG_HOME: join(bench.home, '.config') })
    await writeFile(join(repo, 'hello.txt'), 'changed\n')

    expect(await dirty(repo)).toEqual({ changed: 1, untracked: 0 })
    const payload = await bench.resolve({ repo, run })
    for (const machine of [bench.local, bench.other]) {
      const ran = await bench.launch(payload, machine)
      expect(ran.workspace).toMatchObject({ code: 0, stderr: Buffer.from('') })
      expect(ran.command?.stdout.toString()).toBe('hello\n')
      expect(await readFile(join(ran.workDir, 'big.bin'), 'utf8')).toBe(pointer)
    }
    expect(await markers()).toEqual([])
    // The trap does spring where git is called without care.
    await bench.local.run(`cd ${repo} && git status`)
    expect(await markers()).not.toEqual([])
  })

  test('GIT_* variables of the caller reach neither our git nor the machine', async () => {
    const bench = await gitBench()
    const { program, markers } = await trap(bench)
    const repo = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    setEnvironment({
      GIT_DIR: '/nowhere',
      GIT_WORK_TREE: '/nowhere',
      GIT_OBJECT_DIRECTORY: '/nowhere',
      GIT_COMMON_DIR: '/nowhere',
      GIT_INDEX_FILE: '/nowhere',
      GIT_DEFAULT_HASH: 'sha256',
      GIT_QUARANTINE_PATH: '/nowhere',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.fsmonitor',
      GIT_CONFIG_VALUE_0: program,
      GIT_CONFIG_PARAMETERS: `'core.fsmonitor=${program}'`,
      GIT_EXEC_PATH: bench.path('markers'),
      GIT_TEMPLATE_DIR: bench.path('markers'),
      GIT_EXTERNAL_DIFF: program,
      GIT_TRACE: join(bench.path('markers'), 'trace'),
    })
    const payload = await bench.resolve({ repo, run })
    const ran = [await bench.launch(payload), await bench.launch(payload, bench.other)]
    expect(ran.map(({ command }) => command?.stdout.toString())).toEqual(['hello\n', 'hello\n'])
    expect(await markers()).toEqual([])
  })

  test('names of branches and files that a shell would run', async () => {
    const bench = await gitBench()
    const marker = bench.path('marker')
    const odd = ['$(touch${IFS}marker)', "it's", '-rf', '--help', 'a\nb', 'x;touch marker', '"q"', '`touch marker`']
    const repo = await bench.repository('repo', Object.fromEntries(odd.map((name) => [`d/${name}`, 'x'])))
    for (const branch of ['$(touch${IFS}marker)', "it's", '"q"', ';touch${IFS}marker;', '`touch`'])
      await bench.git(repo, 'update-ref', `refs/heads/${branch}`, 'HEAD')
    for (const ref of ['$(touch${IFS}marker)', "it's", '"q"', ';touch${IFS}marker;', '`touch`']) {
      const ran = await bench.launch(await bench.resolve({ repo, ref, run: ['true'] }), bench.other)
      expect((await readdir(join(ran.workDir, 'd'))).sort()).toEqual([...odd].sort())
    }
    for (const ref of [`--upload-pack=touch ${marker}`, `--output=${marker}`, '-x', 'ext::sh -c x'])
      await expect(bench.resolve({ repo, ref, run })).rejects.toMatchObject({ code: 'REF_INVALID' })
    for (const url of [`ext::sh -c "touch% ${marker}"`, `--upload-pack=touch ${marker}`, '-x', 'http://h/x'])
      await expect(bench.resolve({ repo: url, run })).rejects.toMatchObject({ code: 'REPO_UNSAFE' })
    const names = await readdir(bench.root, { recursive: true })
    expect(names.filter((name) => /(^|\/)marker$/.test(name))).toEqual([])
  })

  test('a machine whose state directory would run in a shell', async () => {
    const bench = await gitBench()
    const stateDir = bench.path(`it's a "state" $(touch marker) \\ dir`)
    await mkdir(stateDir)
    const machine = machineAt(stateDir, { isLocal: false, home: bench.home })
    const repo = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const ran = await bench.launch(await bench.resolve({ repo, run }), machine)
    expect(ran.command?.stdout.toString()).toBe('hello\n')
  })

  test('a tree that would write into .git is refused', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const tree = await bench.git(repo, 'rev-parse', 'HEAD^{tree}')
    const entry = Buffer.concat([Buffer.from('40000 .git\0'), Buffer.from(tree, 'hex')])
    await writeFile(bench.path('tree'), entry)
    const bad = await bench.git(repo, 'hash-object', '-t', 'tree', '-w', '--literally', bench.path('tree'))
    const ref = await bench.git(repo, 'commit-tree', '-m', 'bad', bad)
    await expect(bench.resolve({ repo, ref, run })).rejects.toMatchObject({
      code: 'GIT_FAILED',
      message: expect.stringMatching(/hasDotgit/i) as string,
    })
  })
})

describe('commands', () => {
  const odd = ["it's", '$(touch marker)', '-rf', '--', '', 'a\nb', '"q" \\ `x`', '\u{1f600}', '*']

  test('words, scripts and variables arrive byte for byte, in an empty directory', async () => {
    const bench = await gitBench()
    const worker = commandWorker()
    const context = { signal: new AbortController().signal, logger: silentLogger, progress: () => undefined }
    const print = 'for word; do printf "%s|" "$word"; done; printf %s "$ODD"; ls -A'
    const { input } = command({ run: ['sh', '-c', print, 'sh', ...odd], env: { ODD: odd.join('') } })
    const payload = await worker.resolve(JSON.parse(JSON.stringify(input)) as JsonValue, context)
    const job = { id: 'job', attempt: 1, payload, gpus: [] }
    const plan = await worker.prepare(job, bench.local, context)
    const ran = await runPlan(plan, bench.path('attempt'), bench.home)
    expect(ran.command?.stdout.toString()).toBe(`${odd.join('|')}|${odd.join('')}`)
    const exit = { job, outcome: 'succeeded', exitCode: 0, signal: null, workDir: ran.workDir } as const
    expect(await worker.collect({ ...exit, result: Buffer.from('{"a": 1}') }, bench.local, context)).toEqual({ a: 1 })
    expect(await worker.collect(exit, bench.local, context)).toBe(undefined)
  })
})
