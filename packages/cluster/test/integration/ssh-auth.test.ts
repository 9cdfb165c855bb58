/**
 * Authentication against real sshds: what opens an account opens it, and what does not is refused with what was offered and what
 * the host takes, and without a word of any secret.
 */
import { execFile, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SshOptions } from '@muster/cluster'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { keyRoom } from './ssh-files.js'
import { openDoor, optionsOfDoor, refusalOf, refusedConnection, room, transportTo, type Door } from './ssh-lab.js'

const keys = keyRoom()
const PASSWORD = 'p4ssw0rd of ada'
const PASSPHRASE = 'a passphrase, of course'
let machine: SshMachine

beforeAll(async () => {
  machine = await startSshMachine({ password: PASSWORD })
  await keys.makeKey('wrong', 'ed25519')
  await keys.makeKey('encrypted', 'ed25519', '-N', PASSPHRASE)
  for (const type of ['rsa', 'ecdsa']) await keys.makeKey(type, type)
  await allow('encrypted', 'rsa', 'ecdsa')
})
afterEach(() => void vi.unstubAllEnvs())
afterAll(async () => {
  keys.remove()
  await machine?.remove()
})

async function allow(...names: readonly string[]): Promise<void> {
  const lines = names.map((name) => keys.keyLine('x', name).slice(2)).join('\n')
  await machine.exec(`cat >>/home/${machine.user}/.ssh/authorized_keys`, { stdin: `${lines}\n` })
}

/** A door with these settings; the machine's key is known, no key is named unless `more` does. */
async function door(settings: readonly string[] = []): Promise<(more?: Partial<SshOptions>) => SshOptions> {
  const opened = await openDoor(machine, settings)
  const known = await knowing(opened)
  return (more) => {
    const { identityFile: _, ...plain } = optionsOfDoor(machine, opened, { knownHostsFiles: [known], ...more })
    return more?.identityFile === undefined ? plain : { ...plain, identityFile: more.identityFile }
  }
}

async function knowing(opened: Door): Promise<string> {
  const { stdout } = await machine.exec('cat /etc/ssh/ssh_host_ed25519_key.pub')
  const file = join(await room(), 'known_hosts')
  await writeFile(file, `[${opened.host}]:${opened.port} ${stdout}`)
  return file
}

async function opens(options: SshOptions): Promise<void> {
  expect((await transportTo(options).run('echo in')).stdout.toString()).toBe('in\n')
}

function variable(env: string, value: string): { env: string } {
  vi.stubEnv(env, value)
  return { env }
}

/** An agent of ssh's own with these keys. */
async function agent(...names: readonly string[]): Promise<string> {
  const socket = join(await room(), 'agent')
  const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] })
  onTestFinished(async () => {
    child.kill()
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  for (const name of names)
    await promisify(execFile)('ssh-add', ['-q', keys.at(name)], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
  vi.stubEnv('SSH_AUTH_SOCK', socket)
  return socket
}

test('keys of every usual type open the account', async () => {
  const to = await door()
  for (const identityFile of [machine.identityFile, keys.at('rsa'), keys.at('ecdsa')]) await opens(to({ identityFile }))
})

test('an encrypted key is opened by a passphrase from a variable or a file', async () => {
  const to = await door()
  const identityFile = keys.at('encrypted')
  await opens(to({ identityFile, passphrase: variable('MUSTER_TEST_PASSPHRASE', PASSPHRASE) }))
  const file = join(await room(), 'passphrase')
  await writeFile(file, `${PASSPHRASE}\n`)
  await opens(to({ identityFile, passphrase: { file } }))
})

test('a wrong passphrase, none, or one that cannot be read is said before anybody is called', async () => {
  const to = await door()
  const identityFile = keys.at('encrypted')
  const wrong = await refusedConnection(
    to({ identityFile, passphrase: variable('MUSTER_TEST_PASSPHRASE', 'not this') }),
  )
  expect(wrong).toMatchObject({ code: 'SSH_CONFIG_INVALID', details: { reason: 'wrong-passphrase' } })
  expect(`${wrong.message} ${wrong.hint}`).not.toContain('not this')
  expect(await refusedConnection(to({ identityFile }))).toMatchObject({ details: { reason: 'encrypted' } })
  const unset = await refusedConnection(to({ identityFile, passphrase: { env: 'MUSTER_TEST_UNSET' } }))
  expect(unset).toMatchObject({
    code: 'SSH_CONFIG_INVALID',
    message: expect.stringContaining('MUSTER_TEST_UNSET') as string,
  })
})

test.each([
  ['password', ['PasswordAuthentication yes', 'KbdInteractiveAuthentication no', 'PubkeyAuthentication no']],
  [
    'keyboard-interactive',
    ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes', 'UsePAM yes', 'PubkeyAuthentication no'],
  ],
  ['password without PAM', ['PasswordAuthentication yes', 'UsePAM no', 'PubkeyAuthentication no']],
])('a password by reference opens the account: %s', async (_, settings) => {
  const to = await door(settings)
  await opens(to({ password: variable('MUSTER_TEST_PASSWORD', PASSWORD) }))
  const wrong = await refusedConnection(to({ password: variable('MUSTER_TEST_PASSWORD', 'wr0ng') }))
  expect(wrong.code).toBe('SSH_AUTH_FAILED')
  expect(wrong.message).toMatch(/offered: the password/)
  expect(JSON.stringify([wrong, wrong.message, wrong.stack])).not.toContain('wr0ng')
  const none = await refusedConnection(to())
  expect(none.code).toBe('SSH_AUTH_FAILED')
  expect(none.hint).toMatch(/passwordEnv/)
})

test.each([['publickey,password'], ['password,publickey'], ['publickey,keyboard-interactive']])(
  'two steps: %s',
  async (methods) => {
    const to = await door([
      `AuthenticationMethods ${methods}`,
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication yes',
    ])
    const { identityFile } = machine
    await opens(to({ identityFile, password: variable('MUSTER_TEST_PASSWORD', PASSWORD) }))
    if (!methods.startsWith('publickey')) return
    const half = await refusedConnection(to({ identityFile }))
    expect(half.message).toMatch(/it took one of them and wants more: (password|keyboard-interactive)/)
    expect(half.hint).toMatch(/passwordEnv/)
  },
)

test('a wrong key and a wrong user are refused with what was offered and what is taken', async () => {
  const to = await door(['PasswordAuthentication no'])
  const key = await refusedConnection(to({ identityFile: keys.at('wrong') }))
  expect(key).toMatchObject({ code: 'SSH_AUTH_FAILED', retryable: false })
  expect(key.message).toContain(`key ${keys.at('wrong')} (SHA256:`)
  expect(key.message).toContain('it takes: publickey')
  const options = to({ identityFile: machine.identityFile })
  const user = await refusedConnection({
    ...options,
    destination: options.destination.replace(machine.user, 'nobody-here'),
  })
  expect(user.message).toMatch(/^nobody-here@/)
})

test("the agent's keys open the account, and it is not forwarded", async () => {
  await agent('wrong', 'ecdsa')
  const to = await door(['AllowAgentForwarding yes'])
  const transport = transportTo(to({ agent: true }))
  const { stdout } = await transport.run('echo "[${SSH_AUTH_SOCK-}]"; ls -d /tmp/ssh-* 2>/dev/null')
  expect(stdout.toString()).toBe('[]\n')
  const stream = await transport.open({ command: 'tr "\\0" "\\n" </proc/$PPID/environ; env' })
  const seen: Buffer[] = []
  stream.on('data', (chunk: Buffer) => seen.push(chunk))
  await once(stream, 'end')
  expect(Buffer.concat(seen).toString()).not.toContain('SSH_AUTH_SOCK')
  expect(await refusedConnection(to({ agent: false }))).toMatchObject({ code: 'SSH_AUTH_FAILED' })
})

test('the named key comes first, so an agent full of keys does not use up the tries', async () => {
  for (const n of [1, 2, 3]) await keys.makeKey(`agent${n}`, 'ed25519')
  await agent('wrong', 'agent1', 'agent2', 'agent3')
  const to = await door(['MaxAuthTries 2'])
  await opens(to({ agent: true, identityFile: machine.identityFile }))
  const tooMany = await refusedConnection(to({ agent: true }))
  expect(tooMany.code).toBe('SSH_AUTH_FAILED')
  expect(tooMany.message).toMatch(/agent's 4 keys.*too many/i)
  expect(tooMany.hint).toMatch(/IdentitiesOnly/)
})

test('IdentitiesOnly: of the agent only the named keys sign, and none is offered twice', async () => {
  const many = ['wrong', 'rsa', 'encrypted', 'ecdsa']
  await promisify(execFile)('ssh-keygen', ['-q', '-p', '-P', PASSPHRASE, '-N', '', '-f', keys.at('encrypted')])
  const socket = await agent(...many)
  await promisify(execFile)('ssh-keygen', ['-q', '-p', '-P', '', '-N', PASSPHRASE, '-f', keys.at('encrypted')])
  const opened = await openDoor(machine, ['MaxAuthTries 2', 'PasswordAuthentication no'])
  const config = join(await room(), 'config')
  const lines = (identity: string): string =>
    `Host there\n  HostName ${opened.host}\n  Port ${opened.port}\n  User ${machine.user}\n  IdentitiesOnly yes\n  IdentityAgent ${socket}\n  IdentityFile ${identity}\n`
  const { identityFile: _, ...plain } = optionsOfDoor(machine, opened, { knownHostsFiles: [await knowing(opened)] })
  const options = { ...plain, destination: 'there', configFile: config, agent: true }
  // Its private half cannot be read here; the agent signs with it.
  await writeFile(config, lines(keys.at('encrypted')))
  await opens(options)
  await writeFile(config, lines(keys.at('wrong')))
  const refused = await refusedConnection(options)
  expect(refused.message).toContain(keys.at('wrong'))
  expect(refused.message).toContain("the agent's 0 keys")
  expect(await opened.log()).toMatch(/Failed publickey/)
})

test('an agent that is dead, or does not answer, holds nobody up', async () => {
  const to = await door()
  const directory = await room()
  vi.stubEnv('SSH_AUTH_SOCK', join(directory, 'nobody'))
  const password = variable('MUSTER_TEST_PASSWORD', PASSWORD)
  await opens(to({ agent: true, password }))
  const mute = createServer(() => undefined).listen(join(directory, 'mute'))
  await once(mute, 'listening')
  onTestFinished(() => void mute.close())
  vi.stubEnv('SSH_AUTH_SOCK', join(directory, 'mute'))
  await opens(to({ agent: true, password }))
  const refused = await refusedConnection(to({ agent: true }))
  expect(refused.message).toMatch(/the agent: it did not answer/)
})

test('an expired password is said as such', async () => {
  await machine.exec(`useradd -m eve && echo 'eve:${PASSWORD}' | chpasswd && chage -d 0 eve`)
  const to = await door(['PasswordAuthentication yes', 'UsePAM no', 'PubkeyAuthentication no'])
  const options = to({ password: variable('MUSTER_TEST_PASSWORD', PASSWORD) })
  const error = await refusalOf(
    transportTo({ ...options, destination: options.destination.replace(machine.user, 'eve') }).run('true'),
  )
  expect(error.code).toMatch(/SSH_AUTH_FAILED|MACHINE_UNUSABLE/)
  expect(error.message).toMatch(/expired/)
})
