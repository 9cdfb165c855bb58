/** Commits that get to real machines: Debian's sshd and git in containers, reached as a leader reaches them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { shellLauncher, sshTransport, type SshTransport } from '@muster/cluster'
import { silentLogger, systemClock, type ByteSource, type JsonValue, type MachineAccess } from '@muster/core'
import { startSshMachine, type SshMachine, type SshMachineOptions } from '@muster/testing/servers'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { setEnvironment } from '../support/environment.js'
import { gitBench, type Bench } from '../support/git-bench.js'

const run = ['cat', 'hello.txt']

interface There {
  readonly access: MachineAccess
  /** Bytes that were sent as standard input so far. */
  sent(): number
  /** Runs a plan's workspace in a new directory and gives what a script in it prints. */
  checkout(workspace: string | undefined, script: string): Promise<string>
}

/** The machine as a worker sees it, counting what is sent there. */
async function reached(machine: SshMachine): Promise<There> {
  const { user, host, port, identityFile, knownHosts } = machine
  const destination = `${user}@${host}:${port}`
  const tools = { clock: systemClock, logger: silentLogger }
  const options = { destination, identityFile, knownHostsFiles: [knownHosts], configFile: null, agent: false }
  const transport: SshTransport = sshTransport(options, tools)
  const launcher = shellLauncher(transport, tools)
  onTestFinished(async () => {
    await launcher.close()
    await transport.close()
  })
  const stateDir = await launcher.stateDir()
  let bytes = 0
  async function* counted(source: ByteSource): AsyncGenerator<Uint8Array> {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      yield chunk
    }
  }
  const access: MachineAccess = {
    name: 'gpu1',
    stateDir,
    isLocal: false,
    run: (script, { stdin, signal } = {}) =>
      transport.run(script, { signal, ...(stdin !== undefined && { stdin: counted(stdin) }) }),
    put: (path, content, given) => transport.put(path, content, given),
    get: (path, given) => transport.get(path, given),
  }
  const checkout: There['checkout'] = async (workspace, script) => {
    const made = await transport.run(`d=$(mktemp -d) && cd "$d" && ${workspace ?? ':'} && ${script}`)
    expect(made).toMatchObject({ code: 0, stderr: Buffer.from('') })
    return made.stdout.toString()
  }
  return { access, sent: () => bytes, checkout }
}

function machineOf(options: SshMachineOptions = {}): () => SshMachine {
  let machine: SshMachine | undefined
  beforeAll(async () => {
    machine = await startSshMachine(options)
  }, 90_000)
  afterAll(() => machine?.remove())
  return () => machine as SshMachine
}

/** A repository that does not compress: what is sent of it twice is seen. */
async function largeRepository(bench: Bench): Promise<string> {
  return bench.repository('repo', { 'hello.txt': 'hello\n', 'large.bin': randomBytes(300_000).toString('base64') })
}

for (const [name, options] of Object.entries({
  'a usual account': {},
  'busybox userland, one session per connection': {
    userland: 'busybox',
    loginShell: 'sh',
    sshdConfig: ['MaxSessions 1'],
  },
} satisfies Record<string, SshMachineOptions>))
  describe(`sending over ssh: ${name}`, () => {
    const machine = machineOf(options)

    test('a neighbour sends only what is new; a commit that is there, nothing', async () => {
      const bench = await gitBench()
      const there = await reached(machine())
      const repo = await largeRepository(bench)
      const first = await bench.resolve({ repo, run })
      expect(await there.checkout((await bench.prepare(first, there.access)).workspace, 'cat hello.txt')).toBe(
        'hello\n',
      )
      const whole = there.sent()
      expect(whole).toBeGreaterThan(300_000)
      await bench.commit(repo, { 'hello.txt': 'next\n' })
      const next = await bench.prepare(await bench.resolve({ repo, run }), there.access)
      expect(await there.checkout(next.workspace, 'cat hello.txt; git status --porcelain')).toBe('next\n')
      expect(there.sent() - whole).toBeLessThan(2_000)
      const both = there.sent()
      await bench.prepare(first, there.access)
      expect(there.sent()).toBe(both)
    })

    test('from a shallow clone, and from a detached HEAD in it, without sending again what is there', async () => {
      const bench = await gitBench()
      const there = await reached(machine())
      const origin = await largeRepository(bench)
      await bench.commit(origin, { 'hello.txt': 'second\n' })
      await bench.git(bench.root, 'clone', '-q', '--depth=1', `file://${origin}`, 'shallow')
      const shallow = bench.path('shallow')
      const tip = await bench.prepare(await bench.resolve({ repo: shallow, run }), there.access)
      expect(await there.checkout(tip.workspace, 'cat hello.txt; git rev-list --count HEAD')).toBe('second\n1\n')
      const whole = there.sent()
      await bench.git(shallow, 'checkout', '-q', '--detach')
      await bench.commit(shallow, { 'hello.txt': 'detached\n' })
      const detached = await bench.prepare(await bench.resolve({ repo: shallow, run }), there.access)
      expect(await there.checkout(detached.workspace, 'cat hello.txt')).toBe('detached\n')
      expect(there.sent() - whole).toBeLessThan(2_000)
    })
  })

describe('a machine that cannot take a commit says why', () => {
  const gitless = machineOf({ hide: ['git'] })
  const small = machineOf({ diskBytes: 32 * 2 ** 20 })

  test('without git: before anything is sent, with the line that mends it', async () => {
    const bench = await gitBench()
    const there = await reached(gitless())
    const payload = await bench.resolve({ repo: await largeRepository(bench), run })
    await expect(bench.prepare(payload, there.access)).rejects.toMatchObject({
      code: 'GIT_MISSING',
      message: 'gpu1 has no git',
      hint: expect.stringContaining('sudo apt-get install git') as string,
    })
    expect(there.sent()).toBe(0)
  })

  test('with a full disk: that it is full; and takes it when there is room', async () => {
    const bench = await gitBench()
    const there = await reached(small())
    const payload = await bench.resolve({ repo: await largeRepository(bench), run })
    const { user, exec } = small()
    const filled = await exec('cd && cat /dev/zero >zeros', { user })
    expect(filled.stderr).toContain('No space left')
    await expect(bench.prepare(payload, there.access)).rejects.toMatchObject({
      code: 'MACHINE_UNUSABLE',
      message: 'the disk of gpu1 is full: there is no room for the commit',
      hint: expect.stringContaining('df -h') as string,
    })
    await exec('cd && rm zeros', { user })
    expect(await there.checkout((await bench.prepare(payload, there.access)).workspace, 'cat hello.txt')).toBe(
      'hello\n',
    )
  })
})

describe("fetch: 'machine' between real machines", () => {
  const forge = machineOf()
  const worker = machineOf()

  /** A repository on the forge, which this host and the machine both call `forge`, each with a key and a configuration of its own. */
  async function forged(bench: Bench): Promise<{ payload: JsonValue; there: There }> {
    const { user, port, identityFile, knownHosts, internalHost, exec } = forge()
    const repo = await bench.repository('repo', { 'hello.txt': 'hello\n' })
    await bench.git(repo, 'bundle', 'create', bench.path('bundle'), 'HEAD', 'main')
    const made = await exec('cd && rm -rf repo && base64 -d >b && git clone -q -b main b repo', {
      user,
      stdin: (await readFile(bench.path('bundle'))).toString('base64'),
    })
    expect(made.code).toBe(0)
    const common = `Host forge\n  User ${user}\n  IdentitiesOnly yes\n  HostKeyAlias ${internalHost}\n`
    const here = `${common}  HostName 127.0.0.1\n  Port ${port}\n  IdentityFile ${identityFile}\n  UserKnownHostsFile ${knownHosts}\n`
    await mkdir(bench.path('ssh'), { mode: 0o700 })
    await writeFile(bench.path('ssh/config'), here, { mode: 0o600 })
    await writeFile(`${bench.home}/.gitconfig`, `[core]\n  sshCommand = ssh -F ${bench.path('ssh/config')}\n`)
    setEnvironment({ HOME: bench.home })
    const configured = await worker().exec(
      'umask 077; mkdir -p ~/.ssh && cd ~/.ssh && cat >config && printf %s "$KNOWN" >known_hosts'.replace(
        '"$KNOWN"',
        `'${await readFile(knownHosts, 'utf8')}'`,
      ),
      { user: worker().user, stdin: `${common}  HostName ${internalHost}\n  IdentityFile ~/.ssh/forge\n` },
    )
    expect(configured).toMatchObject({ code: 0 })
    const payload = await bench.resolve({ repo: 'forge:repo', ref: 'main', run, fetch: 'machine' })
    return { payload, there: await reached(worker()) }
  }

  test('without a key of its own it is refused, with one it fetches; nothing is sent', async () => {
    const bench = await gitBench()
    const { payload, there } = await forged(bench)
    await expect(bench.prepare(payload, there.access)).rejects.toMatchObject({
      code: 'REPO_NOT_FOUND',
      message: expect.stringMatching(/^gpu1 could not fetch for itself: .*Permission denied/) as string,
    })
    const key = await readFile(forge().identityFile, 'utf8')
    const given = { user: worker().user, stdin: key }
    expect(await worker().exec('umask 077; cat >~/.ssh/forge', given)).toMatchObject({ code: 0 })
    const { workspace } = await bench.prepare(payload, there.access)
    expect(await there.checkout(workspace, 'cat hello.txt')).toBe('hello\n')
    expect(there.sent()).toBe(0)
    // A host key that the machine does not know is refused without a question.
    await worker().exec('rm ~/.ssh/known_hosts; rm -rf ~/.local/state/muster/machine/cache', { user: worker().user })
    await expect(bench.prepare(payload, there.access)).rejects.toMatchObject({
      message: expect.stringContaining('Host key verification failed') as string,
    })
  })
})
