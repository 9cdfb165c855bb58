/** Mirrors under several writers, killed writers, and a machine that takes a pack. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gitWorker } from '@muster/workers'
import { silentLogger, type ByteSource, type JsonValue, type MachineAccess } from '@muster/core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { gitBench, type Bench } from '../support/git-bench.js'
import { execute, machineAt } from '../support/machine.js'

const run = ['cat', 'hello.txt']
const dist = (name: string): string => fileURLToPath(new URL(`../../dist/${name}`, import.meta.url))
const environment = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' }

const mirrorOf = (bench: Bench, payload: JsonValue): string =>
  join(bench.mirrors, `${(payload as { mirror: string }).mirror}.git`)

async function commits(bench: Bench, repo: string, count: number): Promise<string[]> {
  const made: string[] = []
  for (let n = 0; n < count; n++) made.push(await bench.commit(repo, { 'hello.txt': `${n}\n`, [`d/${n}`]: `${n}` }))
  return made
}

describe('one mirror, several processes', () => {
  test('four processes pin the same and different commits at once', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'x\n' })
    const refs = await commits(bench, repo, 4)
    const program = `
      import { gitWorker } from ${JSON.stringify(dist('index.js'))}
      const worker = gitWorker({ mirrorsDirectory: ${JSON.stringify(bench.mirrors)} })
      const context = { signal: new AbortController().signal, logger: {}, progress() {} }
      const payloads = await Promise.all(${JSON.stringify(refs)}.map((ref) =>
        worker.resolve({ repo: ${JSON.stringify(repo)}, ref, run: ['true'] }, context)))
      console.log(JSON.stringify(payloads.map(({ commit }) => commit)))`
    const node = [process.execPath, '--input-type=module', '-e', program]
    const one = () => execute(node, { cwd: bench.root, env: environment, stdin: '' })
    const results = await Promise.all([one(), one(), one(), one()])
    expect(results.map(({ stderr }) => stderr.toString())).toEqual(['', '', '', ''])
    for (const { stdout } of results) expect(JSON.parse(stdout.toString())).toEqual(refs)
    await bench.git(mirrorOf(bench, await bench.resolve({ repo, run })), 'fsck', '--full', '--strict')
    const locks = await readdir(`${mirrorOf(bench, await bench.resolve({ repo, run }))}.lock`)
    expect(locks).toHaveLength(1)
  })

  test('kill -9 of whoever holds the lock wedges nobody', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'x\n' })
    const mirror = mirrorOf(bench, await bench.resolve({ repo, run }))
    const program = `
      import { withFileLock } from ${JSON.stringify(dist('git/lock.js'))}
      import { systemClock } from '@muster/core'
      const signal = new AbortController().signal
      await withFileLock(${JSON.stringify(`${mirror}.lock`)}, { clock: systemClock, signal }, async () => {
        console.log('held')
        await new Promise((resolve) => setTimeout(resolve, 600_000))
      })`
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const holder = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd, env: environment })
    onTestFinished(() => void holder.kill('SIGKILL'))
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await bench.commit(repo, { 'hello.txt': 'y\n' })
    let resolved = false
    const resolving = bench.resolve({ repo, run }).then(() => (resolved = true))
    // It waits for the living: a look at another commit, which takes several rounds of the lock, comes first.
    await bench.git(repo, 'log')
    expect(resolved).toBe(false)
    holder.kill('SIGKILL')
    await resolving
  })

  test('what killed writers left is removed, and nothing younger', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'x\n' })
    const mirror = mirrorOf(bench, await bench.resolve({ repo, run }))
    const commit = await bench.commit(repo, { 'hello.txt': 'y\n' })
    for (const name of ['shallow.lock', 'config.lock', `refs/muster/keep/${commit}.lock`, 'objects/pack/tmp_pack_old'])
      await writeFile(join(mirror, name), '')
    await writeFile(join(mirror, 'objects/pack/tmp_pack_young'), '')
    await utimes(join(mirror, 'objects/pack/tmp_pack_old'), 1, 1)
    expect(await bench.resolve({ repo, run })).toMatchObject({ commit })
    const left = (await readdir(mirror, { recursive: true })).filter((name) => /lock$|tmp_/.test(name))
    expect(left).toEqual(['objects/pack/tmp_pack_young'])
  })

  test('many packs become few, and whoever borrows keeps all of it', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'x\n' })
    const payload = await bench.resolve({ repo, run })
    const ran = await bench.launch(payload)
    const mirror = mirrorOf(bench, payload)
    const plant = `cd '${mirror}' && i=100 && while [ $i -lt 151 ]; do
      echo $i | git hash-object -w --stdin | git pack-objects -q objects/pack/pack >/dev/null; i=$((i+1)); done; git prune-packed`
    expect(await bench.local.run(plant)).toMatchObject({ code: 0 })
    await bench.commit(repo, { 'hello.txt': 'y\n' })
    await bench.resolve({ repo, run })
    const packs = (await readdir(join(mirror, 'objects/pack'))).filter((name) => name.endsWith('.pack'))
    expect(packs.length).toBeLessThan(10)
    await bench.git(ran.workDir, 'fsck', '--full')
    expect(await bench.git(mirror, 'cat-file', '--batch-all-objects', '--batch-check')).toContain('blob 4')
  })
})

/** The machine, but of the next input only so many bytes arrive. */
function cutting(machine: MachineAccess, bytes: number): MachineAccess {
  let cut = false
  async function* short(source: ByteSource): AsyncIterable<Uint8Array> {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      yield chunk.subarray(0, bytes)
      return
    }
  }
  return {
    ...machine,
    run: (script, options = {}) => {
      if (cut || options.stdin === undefined) return machine.run(script, options)
      cut = true
      return machine.run(script, { ...options, stdin: short(options.stdin) })
    },
  }
}

describe('sending', () => {
  const context = { signal: new AbortController().signal, logger: silentLogger, progress: () => undefined }

  test('a sending that was cut off says so, and the next one ends it', async () => {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'x\n' }), run })
    const machine = cutting(bench.other, 40)
    await expect(bench.prepare(payload, machine)).rejects.toMatchObject({ code: 'LAUNCH_FAILED' })
    expect((await bench.launch(payload, machine)).command?.stdout.toString()).toBe('x\n')
  })

  test('a machine that begins to read when the pack has long been made gets all of it', async () => {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'x\n' }), run })
    const late: MachineAccess = {
      ...bench.other,
      run: async (script, options = {}) => {
        if (options.stdin !== undefined) await expect.poll(() => running(bench.mirrors)).toEqual([])
        return bench.other.run(script, options)
      },
    }
    expect((await bench.launch(payload, late)).command?.stdout.toString()).toBe('x\n')
  })

  test('eight sendings at once, by controllers that do not know of each other', async () => {
    const bench = await gitBench()
    const repo = await bench.repository('repo', { 'hello.txt': 'x\n' })
    const refs = await commits(bench, repo, 4)
    const payloads = await Promise.all([...refs, ...refs].map((ref) => bench.resolve({ repo, ref, run })))
    const prepared = payloads.map((payload) =>
      gitWorker({ mirrorsDirectory: bench.mirrors }).prepare(
        { id: 'job', attempt: 1, payload, gpus: [] },
        bench.other,
        context,
      ),
    )
    await Promise.all(prepared)
    const [cache = ''] = (await readdir(bench.path('other-state/cache/git'))).filter((name) => name.endsWith('.git'))
    const there = bench.path(`other-state/cache/git/${cache}`)
    expect((await readFile(join(there, 'shallow'), 'utf8')).trim().split('\n')).toEqual([...refs].sort())
    await bench.git(there, 'fsck', '--full', '--strict')
    for (const payload of payloads.slice(0, 4))
      expect((await bench.launch(payload, bench.other)).workspace).toMatchObject({ code: 0 })
  })

  test('a file of another sending that vanishes while litter is looked for harms nobody', async () => {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'x\n' }), run })
    const path = bench.path('tools')
    await mkdir(path)
    for (const tool of ['sh', 'mkdir', 'mv', 'rm', 'cat', 'sort', 'git', 'perl', 'flock'])
      await symlink(await which(tool), join(path, tool))
    const looksInVain = `#!/bin/sh\n${await which('find')} "$@"\necho "find: tmp_pack_x: No such file or directory" >&2\nexit 1\n`
    await writeFile(join(path, 'find'), looksInVain, { mode: 0o755 })
    const machine = machineAt(bench.path('state-find'), { isLocal: false, home: bench.home, path })
    await expect(bench.prepare(payload, machine)).resolves.toHaveProperty('workspace')
  })

  test('a machine without flock locks with perl; without both, or without git, it says what it lacks', async () => {
    const bench = await gitBench()
    const payload = await bench.resolve({ repo: await bench.repository('repo', { 'hello.txt': 'x\n' }), run })
    const tools = ['sh', 'mkdir', 'mv', 'rm', 'cat', 'sort', 'find', 'git', 'perl']
    const machineWith = async (missing: string): Promise<MachineAccess> => {
      const path = bench.path(`without-${missing}`)
      await mkdir(path)
      for (const tool of tools.filter((name) => !missing.split('+').includes(name)))
        await symlink(await which(tool), join(path, tool))
      return machineAt(bench.path(`state-${missing}`), { isLocal: false, home: bench.home, path })
    }
    await expect(bench.prepare(payload, await machineWith('flock'))).resolves.toHaveProperty('workspace')
    for (const [missing, code] of [
      ['perl', 'MACHINE_UNUSABLE'],
      ['git', 'GIT_MISSING'],
    ] as const)
      await expect(bench.prepare(payload, await machineWith(missing))).rejects.toMatchObject({
        code,
        hint: expect.stringContaining('sudo apt-get install') as string,
      })
    // Found out before anything was sent or made there.
    expect(existsSync(bench.path('state-git'))).toBe(false)
  })
})

async function which(tool: string): Promise<string> {
  const { stdout } = await execute(['sh', '-c', `command -v ${tool}`], { cwd: '/', env: environment, stdin: '' })
  return stdout.toString().trim()
}

/** Processes whose command line names the directory; those that have ended have none. */
async function running(directory: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(directory))
}
