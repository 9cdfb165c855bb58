/**
 * fetch: 'machine'. The machine has a home, a configuration and an ssh of its own: stand-ins that run here what git asks for. And
 * in every mode: nothing of what the controller's user has as credentials ever lies on a machine.
 */
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLogger, type JsonValue, type MachineAccess } from '@muster/core'
import { describe, expect, test } from 'vitest'
import { setEnvironment } from '../support/environment.js'
import { gitBench, type Bench } from '../support/git-bench.js'
import { machineAt } from '../support/machine.js'

const run = ['cat', 'hello.txt']
const HERE = 'for last; do :; done; exec sh -c "$last"'

interface Far {
  readonly machine: MachineAccess
  readonly home: string
  readonly stateDir: string
  /** The lines that its ssh was called with. */
  calls(): Promise<string[]>
}

/** An ssh that keeps a log, as a configuration of a home names it. */
async function sshAt(home: string, script: string): Promise<string> {
  await mkdir(home, { recursive: true })
  const log = join(home, 'ssh.log')
  await writeFile(log, '')
  await writeFile(join(home, 'ssh'), `#!/bin/sh\nprintf '%s\\n' "$*" >> ${log}\n${script}\n`, { mode: 0o755 })
  await writeFile(join(home, '.gitconfig'), `[core]\n  sshCommand = ${join(home, 'ssh')}\n`)
  return log
}

/** The controller's user and a machine, each with an ssh of its own. */
async function two(bench: Bench, there = HERE): Promise<Far> {
  await sshAt(bench.home, HERE)
  setEnvironment({ HOME: bench.home, XDG_CONFIG_HOME: join(bench.home, '.config') })
  const home = bench.path('far-home')
  const log = await sshAt(home, there)
  const stateDir = bench.path('far-state')
  await mkdir(stateDir, { mode: 0o700 })
  const calls = async (): Promise<string[]> => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '')
  return { machine: machineAt(stateDir, { isLocal: false, home }), home, stateDir, calls }
}

const cached = async (far: Far): Promise<string[]> =>
  (await readdir(join(far.stateDir, 'cache/git')).catch(() => [])).filter((name) => name.endsWith('.git'))

describe("fetch: 'machine'", () => {
  test('the machine fetches the pinned commit itself, once, and a neighbour too', async () => {
    const bench = await gitBench()
    const far = await two(bench)
    const path = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const given = { repo: `git@example.org:${path}`, ref: 'main', run, fetch: 'machine' } as const
    const payload = await bench.resolve(given)
    await bench.commit(path, { 'hello.txt': 'later\n' })
    for (const _ of [1, 2]) {
      const ran = await bench.launch(payload, far.machine)
      expect(ran.workspace.stderr.toString()).toBe('')
      expect(ran.command?.stdout.toString()).toBe('hello\n')
      expect(await bench.git(ran.workDir, 'rev-list', '--count', 'HEAD')).toBe('1')
    }
    expect(await far.calls()).toHaveLength(1)
    const next = await bench.launch(await bench.resolve(given), far.machine)
    expect(next.command?.stdout.toString()).toBe('later\n')
    const [name = ''] = await cached(far)
    expect(name).toMatch(/^[0-9a-f]{32}-own\.git$/)
    await bench.git(join(far.stateDir, 'cache/git', name), 'fsck', '--full', '--strict')
  })

  test('all history where asked for; two launches at once fetch once; the local machine does the same', async () => {
    const bench = await gitBench()
    const far = await two(bench)
    const path = await bench.repository('repo', { 'hello.txt': '1\n' })
    await bench.commit(path, { 'hello.txt': '2\n' })
    const count = ['git', 'rev-list', '--count', 'HEAD']
    const repo = `ssh://alice@example.org${path}`
    const payload = await bench.resolve({ repo, run: count, history: 'full', fetch: 'machine' })
    const both = await Promise.all([bench.launch(payload, far.machine), bench.launch(payload, far.machine)])
    expect(both.map(({ command }) => command?.stdout.toString())).toEqual(['2\n', '2\n'])
    expect(await far.calls()).toHaveLength(1)
    const local = machineAt(bench.path('state'), { isLocal: true, home: far.home })
    expect((await bench.launch(payload, local)).command?.stdout.toString()).toBe('2\n')
    expect(await far.calls()).toHaveLength(2)
  })

  test('what it cannot fetch is an error that says who could not, and what to try', async () => {
    const bench = await gitBench()
    const path = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const far = await two(bench, "echo 'Permission denied (publickey).' >&2; exit 255")
    const payload = await bench.resolve({ repo: `git@example.org:${path}`, ref: 'main', run, fetch: 'machine' })
    await expect(bench.prepare(payload, far.machine)).rejects.toMatchObject({
      code: 'REPO_NOT_FOUND',
      message: expect.stringMatching(/^other could not fetch for itself: .*Permission denied/) as string,
      hint: expect.stringContaining(`git ls-remote git@example.org:${path}`) as string,
    })
    // The commit is there at the submit and gone at the launch.
    await sshAt(far.home, `exec sh -c "git-upload-pack '${await bench.repository('other', { a: 'a' })}'"`)
    await expect(bench.prepare(payload, far.machine)).rejects.toMatchObject({ code: 'REF_NOT_FOUND' })
    // And it recovers by itself.
    await sshAt(far.home, HERE)
    expect((await bench.launch(payload, far.machine)).command?.stdout.toString()).toBe('hello\n')
  })

  test('a configuration that leads elsewhere is refused, and runs nothing but what gets at credentials', async () => {
    const bench = await gitBench()
    const far = await two(bench)
    const path = await bench.repository('repo', { 'hello.txt': 'hello\n', '.gitattributes': '* filter=evil\n' })
    const payload = await bench.resolve({ repo: `git@example.org:${path}`, ref: 'main', run, fetch: 'machine' })
    const marker = bench.path('marker')
    const trap = bench.path('trap')
    await writeFile(trap, `#!/bin/sh\necho "$0 $*" >> ${marker}\ncat\n`, { mode: 0o755 })
    for (const hook of ['reference-transaction', 'post-checkout', 'post-index-change']) {
      for (const directory of ['hooks', 'template/hooks']) {
        await mkdir(join(far.home, directory), { recursive: true })
        await writeFile(join(far.home, directory, hook), `#!/bin/sh\nexec ${trap}\n`)
        await chmod(join(far.home, directory, hook), 0o755)
      }
    }
    const hostile = `
[core]
  fsmonitor = ${trap}
  hooksPath = ${far.home}/hooks
  alternateRefsCommand = ${trap}
  askPass = ${trap}
  sharedRepository = 0666
[init]
  templateDir = ${far.home}/template
[filter "evil"]
  smudge = ${trap}
  required = true
[gc]
  auto = 1
[fetch]
  prune = true
  recurseSubmodules = true
`
    await writeFile(join(far.home, '.gitconfig'), hostile, { flag: 'a' })
    expect((await bench.launch(payload, far.machine)).command?.stdout.toString()).toBe('hello\n')
    await expect(readFile(marker)).rejects.toMatchObject({ code: 'ENOENT' })
    const { stdout } = await far.machine.run(`find ${far.stateDir} -perm /077 ! -type l`)
    expect(stdout.toString()).toBe('')

    const again = await bench.resolve({
      repo: `git@example.org:${path}`,
      ref: await bench.commit(path, { 'hello.txt': 'next\n' }),
      run,
      fetch: 'machine',
    })
    for (const instead of [`ext::${trap} `, 'file:///', path]) {
      await sshAt(far.home, HERE)
      await writeFile(join(far.home, '.gitconfig'), `[url "${instead}"]\n  insteadOf = git@example.org:${path}\n`)
      await expect(bench.prepare(again, far.machine)).rejects.toMatchObject({ code: 'REPO_UNSAFE' })
    }
    await expect(readFile(marker)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('an abort is an abort, and leaves the mirror to the next', async () => {
    const bench = await gitBench()
    const pids = bench.path('pids')
    const far = await two(bench, `echo $$ >> ${pids}; exec sleep 300`)
    const path = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    const payload = await bench.resolve({ repo: `git@example.org:${path}`, ref: 'main', run, fetch: 'machine' })
    const abort = new AbortController()
    const context = { signal: abort.signal, logger: silentLogger, progress: () => undefined }
    const preparing = bench.worker.prepare({ id: 'job', attempt: 1, payload, gpus: [] }, far.machine, context)
    const settled = preparing.catch((error: unknown) => error)
    await expect.poll(() => readFile(pids, 'utf8').catch(() => '')).toMatch(/\d/)
    abort.abort()
    expect(await settled).toMatchObject({ name: 'AbortError' })
    // The bench's machine ends its shell alone; a transport ends all that it started.
    process.kill(Number(await readFile(pids, 'utf8')))
    await sshAt(far.home, HERE)
    expect((await bench.launch(payload, far.machine)).command?.stdout.toString()).toBe('hello\n')
  })
})

describe('P7 nothing of the credentials of the submitting user lies on a machine', () => {
  const SECRETS = {
    header: 'hunter2-header',
    password: 'hunter2-store',
    askpass: 'hunter2-askpass',
    agent: 'hunter2-agent',
  }

  for (const fetch of ['controller', 'machine'] as const)
    test(`fetch: ${fetch}`, async () => {
      const bench = await gitBench()
      const far = await two(bench)
      const askpass = bench.path('askpass')
      await writeFile(askpass, `#!/bin/sh\necho ${SECRETS.askpass}\n`, { mode: 0o755 })
      await writeFile(join(bench.home, '.git-credentials'), `https://alice:${SECRETS.password}@example.org\n`)
      const configuration = `[http]\n  extraHeader = Authorization: Bearer ${SECRETS.header}\n[credential]\n  helper = store\n`
      await writeFile(join(bench.home, '.gitconfig'), configuration, { flag: 'a' })
      setEnvironment({
        GIT_ASKPASS: askpass,
        SSH_ASKPASS: askpass,
        SSH_AUTH_SOCK: bench.path(SECRETS.agent),
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'http.extraHeader',
        GIT_CONFIG_VALUE_0: `X: ${SECRETS.header}`,
      })
      const path = await bench.repository('repo', { 'hello.txt': 'hello\n' })
      const payload: JsonValue = await bench.resolve({ repo: `git@example.org:${path}`, ref: 'main', run, fetch })
      const ran = await bench.launch(payload, far.machine)
      expect(ran.command?.stdout.toString()).toBe('hello\n')
      expect(await far.calls()).toHaveLength(fetch === 'machine' ? 1 : 0)
      const places = [far.stateDir, far.home, ran.workDir, bench.mirrors].map((place) => `'${place}'`).join(' ')
      const grep = await far.machine.run(`grep -rlaF -e hunter2 -e example.org:8443 ${places}`)
      expect(grep).toMatchObject({ code: 1, stdout: Buffer.from('') })
      expect(JSON.stringify([payload, bench.progress])).not.toContain('hunter2')
      // The search does find what is there.
      await writeFile(join(far.stateDir, 'planted'), SECRETS.agent)
      expect((await far.machine.run(`grep -rlaF hunter2 ${places}`)).code).toBe(0)
    })
})
