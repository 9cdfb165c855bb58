/** `machines add` and what submit refuses, against a real sshd that nobody has logged in to before. */
import { tcpProxy } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Sandbox, type Outcome } from './cli.js'

const PATIENT = { timeout: 45_000, interval: 50 }
let machine: SshMachine
let box: Sandbox

beforeAll(async () => {
  machine = await startSshMachine()
}, 300_000)
afterAll(() => machine.remove())
beforeEach(async () => {
  box = await Sandbox.open()
})
afterEach(() => box.close())

const destination = () => `${machine.user}@${machine.host}:${machine.port}`
const add = (...more: string[]) =>
  box.muster('machines', 'add', 'gpu1', destination(), '--identity', machine.identityFile, ...more)
const files = () => [join(box.project, 'muster.yaml'), join(box.root, '.config/muster/config.yaml')] as const
const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

async function expectNothingWritten(): Promise<void> {
  expect(await Promise.all(files().map(isThere))).toEqual([false, false])
}

function expectTyped({ code, stderr }: Outcome, expected: string): void {
  expect(stderr).toContain(`[${expected}]`)
  expect(stderr).toMatch(/^hint: \S/m)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(code).toBe(1)
}

/** A muster.yaml with one machine, and how it is reached. */
async function configure(ssh: string, how: Readonly<Record<string, unknown>>): Promise<void> {
  box.env['XDG_CONFIG_HOME'] = join(box.root, 'config')
  const { mkdir } = await import('node:fs/promises')
  await mkdir(join(box.root, 'config', 'muster'), { recursive: true })
  await writeFile(join(box.project, 'muster.yaml'), JSON.stringify({ machines: [{ name: 'gpu1', ssh }] }))
  await writeFile(join(box.root, 'config', 'muster', 'config.yaml'), JSON.stringify({ ssh: { gpu1: how } }))
}

const reachable = () =>
  configure(destination(), { identityFile: machine.identityFile, knownHostsFiles: [machine.knownHosts] })

describe('machines add', () => {
  test('with a fingerprint that was compared: seen, probed, written, tried with a first job; remove is the undo', async () => {
    const { code, stdout, stderr } = await add('--fingerprint', machine.fingerprint, '--label', 'room=a')
    expect(code, stderr).toBe(0)
    expect(stderr).toContain(`key ${machine.fingerprint}, as given`)
    expect(stdout).toMatch(/git +2\./)
    expect(stdout).toMatch(/^Linux /m)
    expect(stderr).toMatch(/undo: muster machines remove gpu1/)
    const [project, user] = files()
    expect(await readFile(project, 'utf8')).toContain('room: a')
    expect(await readFile(project, 'utf8')).not.toContain(machine.identityFile)
    expect(await readFile(user, 'utf8')).toContain(machine.fingerprint)
    expect((await stat(user)).mode & 0o777).toBe(0o600)
    expect((await box.muster('machines')).stdout).toMatch(/^gpu1 +ready/m)
    const run = await box.muster('run', '--no-repo', '--machine', 'gpu1', '--', 'sh', '-c', 'echo on $USER')
    expect(run).toMatchObject({ code: 0, stdout: `on ${machine.user}\n` })

    const again = await add('--fingerprint', machine.fingerprint)
    expectTyped(again, 'INVALID_ARGUMENT')
    expect(again.stderr).toContain('gpu1 is configured already')
    expect(await box.muster('machines', 'remove', 'gpu1')).toMatchObject({ code: 0 })
    expect(await readFile(user, 'utf8')).not.toContain('gpu1')
    // Its leader does not know it any more: who waits for it is told, and the next one is refused.
    const waiting = box.start('run', '--no-repo', '--machine', 'gpu1', '--', 'true')
    await vi.waitFor(
      () => expect(waiting.stderr).toMatch(/waits: gpu1 .*not configured where the leader runs/),
      PATIENT,
    )
    waiting.child.kill('SIGTERM')
    await waiting.ended
    expectTyped(await box.muster('submit', '--no-repo', '--machine', 'gpu1', '--', 'true'), 'UNKNOWN_MACHINE')
  })

  test('without a terminal an unknown key is refused with the line that accepts it; a wrong one, too; nothing is written', async () => {
    const unknown = await add()
    expectTyped(unknown, 'HOST_KEY_UNKNOWN')
    expect(unknown.stderr).toContain(`--fingerprint ${machine.fingerprint}`)
    const wrong = `SHA256:${'x'.repeat(43)}`
    const other = await add('--fingerprint', wrong)
    expectTyped(other, 'HOST_KEY_CHANGED')
    expect(other.stderr).toContain(machine.fingerprint)
    expect(other.stderr).toContain(wrong)
    await expectNothingWritten()
  })

  test('on a terminal it asks: no leaves nothing behind, the fingerprint itself is a yes', async () => {
    const words = ['machines', 'add', 'gpu1', destination(), '--identity', machine.identityFile, '--dry-run']
    const answers = [
      ['no', /which was not accepted.*\[HOST_KEY_UNKNOWN\]/],
      [machine.fingerprint, /would write \S+muster\.yaml/],
    ] as const
    for (const [answer, outcome] of answers) {
      const asking = box.onTerminal(...words)
      await vi.waitFor(() => expect(asking.stdout).toMatch(/Is it the same\?/), PATIENT)
      asking.child.stdin?.end(`${answer}\n`)
      expect((await asking.ended).stdout).toMatch(outcome)
    }
    await expectNothingWritten()
  })

  test('--dry-run shows what would be written; a login that is refused leaves nothing behind', async () => {
    const dry = await add('--trust', '--dry-run')
    expect(dry.code, dry.stderr).toBe(0)
    expect(dry.stdout).toMatch(/would write \S+muster\.yaml:\n(.*\n)*\+ +- \{ name: gpu1/)
    await expectNothingWritten()
    box.env['NOT_IT'] = 'wrong-7d1c'
    const args = ['machines', 'add', 'gpu1', `nobody@${machine.host}:${machine.port}`, '--trust']
    const refused = await box.muster(...args, '--password-env', 'NOT_IT')
    expectTyped(refused, 'SSH_AUTH_FAILED')
    expect(refused.stdout + refused.stderr).not.toContain('wrong-7d1c')
    await expectNothingWritten()
  })
})

describe('submit', () => {
  test('a machine that nobody ever reached and that cannot be reached now refuses the job, whoever asks, and nothing is recorded', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    try {
      await configure(`me@127.0.0.1:${port}`, { connectTimeout: '1s' })
      for (const args of [['submit'], ['submit', '--machine', 'gpu1'], ['run']]) {
        const refused = await box.muster(...args, '--no-repo', '--', 'true')
        expectTyped(asOne(refused), 'SSH_CONNECT_FAILED')
      }
    } finally {
      silent.close()
    }
    const cases = [
      ['me@127.0.0.1:1', {}, 'SSH_CONNECT_FAILED'],
      [destination(), { knownHostsFiles: ['/dev/null'] }, 'HOST_KEY_UNKNOWN'],
      [`nobody@${machine.host}:${machine.port}`, { knownHostsFiles: [machine.knownHosts] }, 'SSH_AUTH_FAILED'],
    ] as const
    for (const [ssh, how, code] of cases) {
      await configure(ssh, how)
      expectTyped(await box.muster('submit', '--no-repo', '--', 'true'), code)
    }
    expect((await box.muster('ps', '--all', '--json')).stdout).toBe('')
    const probe = await box.muster('machines', 'probe', 'gpu1')
    expectTyped(probe, 'SSH_AUTH_FAILED')
  })

  test('one that was reached before is waited for, and run says since when and why', async () => {
    await reachable()
    const first = await box.muster('run', '--no-repo', '--', 'true')
    expect(first.code, first.stderr).toBe(0)
    await machine.stop()
    const running = box.start('run', '--no-repo', '--', 'echo', 'at last')
    await vi.waitFor(
      () => expect(running.stderr).toMatch(/waits: gpu1 does not answer since \d\d:\d\d: .*\[SSH_CONNECT_FAILED\]/),
      PATIENT,
    )
    const listed = await box.muster('machines')
    expect(listed.stdout).toMatch(/^gpu1 +(suspect|unreachable) .*does not answer since/m)
    expect(listed.stdout).toMatch(/^ +hint: \S/m)
    await machine.start()
    expect(await running.ended).toMatchObject({ code: 0, stdout: 'at last\n' })
  })

  test('a machine that is lost under a running job: unconfirmed since when and why; the same attempt goes on', async () => {
    const proxy = await tcpProxy({ host: machine.host, port: machine.port })
    onTestFinished(() => proxy.close())
    const { identityFile, fingerprint } = machine
    await configure(`${machine.user}@${proxy.host}:${proxy.port}`, { identityFile, fingerprint })
    const script = 'echo up; while [ ! -e "$HOME/go" ]; do sleep 0.1; done; echo done'
    const running = box.start('run', '--no-repo', '--', 'sh', '-c', script)
    await vi.waitFor(() => expect(running.stdout).toContain('up'), PATIENT)
    await proxy.refuse(true)
    proxy.cut()
    const why = /unconfirmed since \d\d:\d\d: gpu1 does not answer since \d\d:\d\d: /
    await vi.waitFor(() => expect(running.stderr).toMatch(why), PATIENT)
    const listed = await box.muster('machines')
    expect(listed.stdout).toMatch(/^gpu1 +unreachable /m)
    await machine.exec(`touch /home/${machine.user}/go`)
    await proxy.refuse(false)
    const { code, stdout } = await running.ended
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'up\ndone\n' })
    const jobs = await box.muster('ps', '--all', '--json')
    expect(JSON.parse(jobs.stdout)).toMatchObject({ state: 'completed', attempt: 1 })
  })
})

/** `run` keeps 125 for muster's own failures; everything else of them is the same. */
function asOne(outcome: Outcome): Outcome {
  return { ...outcome, code: outcome.code === 125 ? 1 : outcome.code }
}
