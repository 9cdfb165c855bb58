/**
 * Host keys against real sshds: what is not known, has changed or was revoked is refused, with the fingerprints that a person
 * compares, and sshd's own log shows that nothing but the handshake was said to it.
 */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { seeHostKey, type SshOptions } from '@muster/cluster'
import { silentLogger, systemClock } from '@muster/core'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keyRoom } from './ssh-files.js'
import {
  keepingLogger,
  openDoor,
  optionsOfDoor,
  refusedConnection,
  room,
  SAID_MORE,
  transportTo,
  type Door,
} from './ssh-lab.js'
import { optionsOf } from './ssh-way.js'

const keys = keyRoom()
let machine: SshMachine
let door: Door
/** The door's host keys as lines of known_hosts. */
let own: { ed25519: string; ecdsa: string; rsa: string }

beforeAll(async () => {
  machine = await startSshMachine({ setup: "ssh-keygen -q -t rsa -b 2048 -N '' -f /etc/ssh/ssh_host_rsa_key" })
  door = await openDoor(machine)
  await keys.makeKey('other', 'ed25519')
  const { stdout } = await machine.exec(
    'cd /etc/ssh && cat ssh_host_ed25519_key.pub ssh_host_ecdsa_key.pub ssh_host_rsa_key.pub',
  )
  const name = `[${door.host}]:${door.port}`
  const [ed25519 = '', ecdsa = '', rsa = ''] = stdout
    .trim()
    .split('\n')
    .map((line) => `${name} ${line.split(' ').slice(0, 2).join(' ')}`)
  own = { ed25519, ecdsa, rsa }
})
afterAll(async () => {
  keys.remove()
  await machine?.remove()
})

const nameOf = (at: Door): string => `[${at.host}]:${at.port}`

async function knowing(...lines: readonly string[]): Promise<Partial<SshOptions>> {
  const file = join(await room(), 'known_hosts')
  await writeFile(file, lines.map((line) => `${line}\n`).join(''))
  return { knownHostsFiles: [file] }
}

async function fingerprintOf(type: 'ed25519' | 'ecdsa' | 'rsa'): Promise<string> {
  const { stdout } = await machine.exec(`ssh-keygen -lf /etc/ssh/ssh_host_${type}_key.pub`)
  return stdout.split(' ')[1] ?? ''
}

const fingerprintOfOther = async (): Promise<string> => {
  const { stdout } = await machine.exec('ssh-keygen -lf -', { stdin: keys.keyLine('x', 'other').slice(2) })
  return stdout.split(' ')[1] ?? ''
}

/** The refusal, and that the host heard nothing that could tell it who we are. */
async function refusedUnheard(more: Partial<SshOptions>): Promise<{ code: string; message: string; hint: string }> {
  const before = (await door.log()).length
  const { code, message, hint } = await refusedConnection(optionsOfDoor(machine, door, more))
  await expect
    .poll(async () => (await door.log()).slice(before))
    .toMatch(/Connection from[^]*(disconnect|closed|reset)/i)
  expect((await door.log()).slice(before)).not.toMatch(SAID_MORE)
  return { code, message, hint }
}

test('a known key is accepted, also one of a type that the host would not show first', async () => {
  for (const line of [own.ed25519, own.ecdsa, own.rsa]) {
    const { stdout } = await transportTo(optionsOfDoor(machine, door, await knowing(line))).run('echo in')
    expect(stdout.toString()).toBe('in\n')
  }
  expect(await door.log()).toMatch(SAID_MORE)
})

test('an unknown key is refused with its fingerprint and the lines that would make it known', async () => {
  const { code, message, hint } = await refusedUnheard(await knowing())
  expect(code).toBe('HOST_KEY_UNKNOWN')
  expect(message).toContain(await fingerprintOf('ed25519'))
  expect(hint).toContain(`ssh-keyscan -p ${door.port} ${door.host}`)
})

test('a changed key is refused with both fingerprints and where the known one stands', async () => {
  const { code, message, hint } = await refusedUnheard(await knowing('# mine', keys.keyLine(nameOf(door), 'other')))
  expect(code).toBe('HOST_KEY_CHANGED')
  expect(message).toContain(await fingerprintOf('ed25519'))
  expect(message).toContain(await fingerprintOfOther())
  expect(message).toMatch(/known_hosts:2/)
  expect(hint).toContain(`ssh-keygen -R '${nameOf(door)}'`)
})

test('a revoked key is refused, whoever else knows or pins it', async () => {
  const revoked = await knowing(own.ed25519, `@revoked * ${own.ed25519.split(' ').slice(1).join(' ')}`)
  expect((await refusedUnheard(revoked)).code).toBe('HOST_KEY_REVOKED')
  const pinned = await refusedUnheard({ ...revoked, fingerprint: machine.fingerprint })
  expect(pinned.code).toBe('HOST_KEY_REVOKED')
  expect(pinned.message).toContain(machine.fingerprint)
})

test('a host of which only a certificate authority is known is refused, and why is said', async () => {
  const authority = `@cert-authority ${keys.keyLine(nameOf(door), 'other')}`
  const { code, message } = await refusedUnheard(await knowing(authority))
  expect(code).toBe('HOST_KEY_UNKNOWN')
  expect(message).toMatch(/certificate authority/)
})

test('a pinned fingerprint is enough, of whichever key of the host it is', async () => {
  for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
    const pinned = { ...(await knowing()), fingerprint: await fingerprintOf(type) }
    await transportTo(optionsOfDoor(machine, door, pinned)).run('true')
  }
})

test('a pinned fingerprint of another key is refused with both, also where known_hosts knows the key', async () => {
  const fingerprint = await fingerprintOfOther()
  for (const more of [await knowing(), await knowing(own.ed25519)]) {
    const { code, message } = await refusedUnheard({ ...more, fingerprint })
    expect(code).toBe('HOST_KEY_CHANGED')
    expect(message).toContain(fingerprint)
    expect(message).toContain(machine.fingerprint)
  }
})

test('trust at first use records the key, for us alone, says so once, and refuses another one later', async () => {
  const file = join(await room(), 'new', 'known_hosts')
  const { logger, lines } = keepingLogger()
  const options = optionsOfDoor(machine, door, { knownHostsFiles: [file], hostKeys: 'trust-first' })
  for (const _ of ['first', 'second']) await transportTo(options, { logger }).run('true')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readFile(file, 'utf8')).toBe(`${own.ed25519}\n`)
  const warnings = lines.filter(({ level }) => level === 'warn')
  expect(warnings).toHaveLength(1)
  expect(warnings[0]?.text).toContain(machine.fingerprint)

  await writeFile(file, `${keys.keyLine(nameOf(door), 'other')}\n`)
  expect((await refusedUnheard({ knownHostsFiles: [file], hostKeys: 'trust-first' })).code).toBe('HOST_KEY_CHANGED')
})

test('what is recorded stands on a line of its own, also behind a line without its end', async () => {
  const file = join(await room(), 'known_hosts')
  const before = keys.keyLine('elsewhere.example', 'other')
  await writeFile(file, before)
  await transportTo(optionsOfDoor(machine, door, { knownHostsFiles: [file], hostKeys: 'trust-first' })).run('true')
  expect(await readFile(file, 'utf8')).toBe(`${before}\n${own.ed25519}\n`)
})

test('where nothing can be recorded, nothing is trusted', async () => {
  const file = '/proc/known_hosts'
  expect(await refusedUnheard({ knownHostsFiles: [file], hostKeys: 'trust-first' })).toMatchObject({
    code: 'SSH_CONFIG_INVALID',
    message: expect.stringContaining(file) as string,
  })
})

test('a long connection that changes its keys shows its host key again, and nothing is recorded twice', async () => {
  const often = await openDoor(machine, ['RekeyLimit 64K'])
  const file = join(await room(), 'known_hosts')
  const options = optionsOfDoor(machine, often, { knownHostsFiles: [file], hostKeys: 'trust-first' })
  const transport = transportTo(options)
  const bytes = Buffer.alloc(3 * 2 ** 20, 'abcdefghijklm')
  expect((await transport.run('cat', { stdin: bytes })).stdout.equals(bytes)).toBe(true)
  expect((await often.log()).match(/SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(3)
  expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(1)
})

test('a hop is judged as the machine is, by its own name, and pin and first use are not for it', async () => {
  const target = await startSshMachine()
  try {
    const file = join(await room(), 'config')
    const jump = `${machine.user}@${door.host}:${door.port}`
    await writeFile(
      file,
      `Host *\n  IdentityFile ${machine.identityFile}\nHost ${target.internalHost}\n  ProxyJump ${jump}\n`,
    )
    const targetLine = (await readFile(target.knownHosts, 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith(target.internalHost))
    const through = async (...lines: readonly string[]): Promise<SshOptions> =>
      optionsOf(target, {
        destination: `${target.user}@${target.internalHost}`,
        configFile: file,
        ...(await knowing(...lines)),
      })
    const before = (await door.log()).length
    const unknown = await refusedConnection({ ...(await through(...targetLine)), hostKeys: 'trust-first' })
    expect(unknown).toMatchObject({ code: 'HOST_KEY_UNKNOWN' })
    expect(unknown.message).toContain(`${door.host}:${door.port} showed`)
    const pinned = await refusedConnection({ ...(await through(...targetLine)), fingerprint: machine.fingerprint })
    expect(pinned).toMatchObject({ code: 'HOST_KEY_UNKNOWN' })
    const changed = await refusedConnection(await through(...targetLine, keys.keyLine(nameOf(door), 'other')))
    expect(changed).toMatchObject({ code: 'HOST_KEY_CHANGED' })
    expect(changed.message).toContain(await fingerprintOfOther())
    expect(changed.message).toContain(machine.fingerprint)
    expect((await door.log()).slice(before)).not.toMatch(SAID_MORE)

    const behind = await refusedConnection(await through(own.ed25519))
    expect(behind).toMatchObject({ code: 'HOST_KEY_UNKNOWN' })
    expect(behind.message).toContain(target.fingerprint)
    await transportTo(await through(own.ed25519, ...targetLine)).run('true')
  } finally {
    await target.remove()
  }
})

test('seeHostKey shows the key and what is known of it, and logs in nowhere', async () => {
  const tools = { clock: systemClock, logger: silentLogger }
  const see = async (...lines: readonly string[]): Promise<string> => {
    const seen = await seeHostKey(optionsOfDoor(machine, door, await knowing(...lines)), tools)
    expect(seen).toMatchObject({
      fingerprint: machine.fingerprint,
      keyType: 'ssh-ed25519',
      host: door.host,
      port: door.port,
      user: machine.user,
    })
    return seen.known
  }
  const before = (await door.log()).length
  expect(await see()).toBe('unknown')
  expect(await see(own.ed25519)).toBe('known')
  expect(await see(keys.keyLine(nameOf(door), 'other'))).toBe('changed')
  expect(await see(`@revoked * ${own.ed25519.split(' ').slice(1).join(' ')}`)).toBe('revoked')
  expect((await door.log()).slice(before)).not.toMatch(SAID_MORE)
})
