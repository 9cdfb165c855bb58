/** The way to a machine: destinations, and what the configuration makes of them. What ssh itself says: ssh-files.test.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseDestination } from '../../src/machines/ssh/destination.js'
import { resolveHops, type Hop } from '../../src/machines/ssh/hops.js'
import type { SshOptions } from '../../src/machines/ssh/options.js'

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'muster-test-'))
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

function write(name: string, text: string, mode = 0o600): string {
  const file = join(home, '.ssh', name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { mode })
  return file
}
const variables = { SOCK: '/run/agent' }
const resolve = (destination: string, options: Partial<SshOptions> = {}): Promise<readonly Hop[]> =>
  resolveHops({ destination, ...options }, { home, user: 'me', variables })
const only = async (destination: string, options: Partial<SshOptions> = {}): Promise<Hop> => {
  const hops = await resolve(destination, options)
  expect(hops).toHaveLength(1)
  return hops[0] as Hop
}
const names = async (destination: string): Promise<string[]> =>
  (await resolve(destination)).map(({ user, host, port }) => `${user}@${host}:${String(port)}`)
const refused = (message: string, code = 'SSH_CONFIG_INVALID') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as unknown

test.each([
  ['gpu1', { host: 'gpu1' }],
  ['alice@gpu1', { user: 'alice', host: 'gpu1' }],
  ['LAB\\alice@gpu1', { user: 'LAB\\alice', host: 'gpu1' }],
  ['alice@lab.org@gpu1', { user: 'alice@lab.org', host: 'gpu1' }],
  ['gpu1:2222', { host: 'gpu1', port: 2222 }],
  ['[::1]:22', { host: '::1', port: 22 }],
  ['[::1]', { host: '::1' }],
  ['::1', { host: '::1' }],
  ['u@[fe80::1%eth0]:9', { user: 'u', host: 'fe80::1%eth0', port: 9 }],
  ['ssh://u@gpu1:9', { user: 'u', host: 'gpu1', port: 9 }],
  ['ssh://u@gpu1/', { user: 'u', host: 'gpu1' }],
])('destination %s', (text, expected) => {
  expect(parseDestination(text)).toEqual(expected)
})

test.each([
  ...[
    '',
    '@gpu1',
    'u@',
    'u@:22',
    ':22',
    'ssh://',
    'a b',
    ' a',
    'a\n',
    'a\0',
    'a\u001b[0m',
    '-oProxyCommand=x',
    '-l@gpu1',
  ],
  ...[
    'u@-x',
    'a:0',
    'a:65536',
    'a:1e3',
    'a:',
    'a:+1',
    '1:2:3',
    '[a]:1',
    '[::1',
    '[::1]x',
    'a/b',
    'ssh://a/b',
    '$(id)@a',
    'a;b',
  ],
  ...['a`b`', 'u|v@a', 'a,b', '*', 'u\u202e@a'],
])('refused as a destination: %j', (text) => {
  expect(() => parseDestination(text)).toThrow(refused('destination', 'INVALID_ARGUMENT'))
})

test('a password in a destination is refused and not repeated', () => {
  expect(() => parseDestination('alice:hunter2@gpu1')).toThrow(refused('by reference', 'INVALID_ARGUMENT'))
  expect(() => parseDestination('alice:hunter2@gpu1')).not.toThrow(/hunter2/)
})

test('without a configuration: the defaults of ssh', async () => {
  expect(await only('GPU1')).toEqual({
    alias: 'GPU1',
    host: 'gpu1',
    port: 22,
    user: 'me',
    identityFiles: ['rsa', 'ecdsa', 'ecdsa_sk', 'ed25519', 'ed25519_sk'].map((type) => `${home}/.ssh/id_${type}`),
    identitiesFrom: 'default',
    identitiesOnly: false,
    identityAgent: undefined,
    knownHostsFiles: [
      ...['known_hosts', 'known_hosts2'].map((name) => `${home}/.ssh/${name}`),
      ...['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
    ],
    proxyJumpFrom: 'option',
    warnings: [],
  })
})

test('options beat the configuration, and null is none', async () => {
  const text =
    'User them\nPort 9\nIdentityFile ~/k\nIdentityAgent /a\nUserKnownHostsFile /kh\nGlobalKnownHostsFile none\n'
  const file = write('config', text)
  expect(await only('gpu1')).toMatchObject({
    user: 'them',
    port: 9,
    identityFiles: [join(home, 'k')],
    identityAgent: '/a',
  })
  expect(await only('gpu1')).toMatchObject({ knownHostsFiles: ['/kh'], identitiesFrom: 'config' })
  const options = { identityFile: '/o', knownHostsFiles: ['/o2'], agent: false }
  expect(await only('u@gpu1:7', options)).toMatchObject({
    ...{ user: 'u', port: 7, identityFiles: ['/o'], identitiesFrom: 'option' },
    ...{ knownHostsFiles: ['/o2'], identityAgent: null },
  })
  expect(await only('gpu1', { configFile: null })).toMatchObject({ user: 'me', port: 22 })
  expect(await only('gpu1', { configFile: file })).toMatchObject({ user: 'them' })
  await expect(resolve('gpu1', { configFile: `${file}.gone` })).rejects.toEqual(refused('ENOENT'))
})

test('tokens, variables and ~ are filled in, or refused', async () => {
  const text = `Host gpu1
  HostName %h.lab
  Port 9
  User bob
  HostKeyAlias key
  IdentityFile "~/my keys/%n-%h-%p-%r-%u-%k-%%"
  IdentityFile none
  IdentityAgent \${SOCK}/s
  UserKnownHostsFile %d/kh /b
Host other
  IdentityAgent $SOCK
  IdentityFile none`
  write('config', text)
  expect(await only('gpu1')).toMatchObject({
    ...{ host: 'gpu1.lab', hostKeyAlias: 'key', identityAgent: '/run/agent/s' },
    identityFiles: [`${home}/my keys/gpu1-gpu1.lab-9-bob-me-key-%`],
    knownHostsFiles: expect.arrayContaining([`${home}/kh`, '/b']) as string[],
  })
  expect(await only('other')).toMatchObject({
    identityAgent: '/run/agent',
    identityFiles: [],
    identitiesFrom: 'config',
  })
  for (const line of [
    'HostName %p',
    'IdentityFile %C',
    'IdentityFile ${GONE}',
    'IdentityFile ~root/k',
    'IdentityFile a%',
  ]) {
    write('config', line)
    await expect(resolve('gpu1')).rejects.toEqual(refused(line.split(' ')[0] ?? ''))
  }
})

test('values that ssh or we would stumble over are refused, with their keyword', async () => {
  for (const [line, word] of [
    ...[
      ['Port 0', 'Port'],
      ['Port ssh', 'Port'],
      ['HostName -x', 'HostName'],
      ['HostName "a b"', 'HostName'],
    ],
    ...[
      ['User "a b"', 'User'],
      ['ProxyJump a b', 'ProxyJump'],
      ['ProxyJump a,,b', 'ProxyJump'],
      ['ProxyJump -x', 'ProxyJump'],
    ],
    ...[
      ['ProxyCommand nc %h %p', 'ProxyCommand'],
      ['User "x', 'quote'],
      ['User', 'has no value'],
      ['Host', 'has no value'],
    ],
    ['User\nHost *', 'has no value'],
  ] as [string, string][]) {
    write('config', line)
    await expect(resolve('gpu1'), line).rejects.toEqual(refused(word))
  }
})

test('ProxyJump: the way in its order, each hop by its own configuration', async () => {
  const text = `Host target\n ProxyJump u@b:33,c\nHost b\n HostName b.lab\n Port 1\n ProxyJump a\nHost c\n ProxyJump never\n User cu
Host direct\n ProxyJump none\nHost *\n User all\n ProxyJump gate\nHost gate\n ProxyJump none`
  write('config', text.replace('Host *', 'Host * !gate !a'))
  // c is named after another hop, so its own ProxyJump is not asked: so does `ssh -J b c`.
  expect(await names('target')).toEqual(['me@a:22', 'u@b.lab:33', 'cu@c:22', 'all@target:22'])
  expect(await names('direct')).toEqual(['all@direct:22'])
  expect(await names('x')).toEqual(['me@gate:22', 'all@x:22'])
  expect((await resolve('x')).map(({ proxyJumpFrom }) => proxyJumpFrom)).toEqual(['config', 'option'])
  const [gate, x] = await resolve('x', { identityFile: '/o', knownHostsFiles: ['/kh'] })
  expect([gate?.identitiesFrom, x?.identitiesFrom, gate?.knownHostsFiles]).toEqual(['default', 'option', ['/kh']])
})

test('a circle of jumps is refused with its way', async () => {
  for (const text of ['ProxyJump gate', 'Host a\n ProxyJump b\nHost b\n ProxyJump c,d\nHost c\n ProxyJump a\n']) {
    write('config', text)
    await expect(resolve('a')).rejects.toEqual(refused('circle'))
  }
})

test('ssh takes the first of ProxyJump and ProxyCommand', async () => {
  write('config', 'ProxyJump none\nProxyCommand nc')
  expect(await names('a')).toEqual(['me@a:22'])
  write('config', 'ProxyCommand none\nProxyJump b')
  expect(await names('a')).toEqual(['me@a:22'])
  write('config', 'Host b\n ProxyCommand nc\nHost t\n ProxyJump a,b')
  expect(await names('t')).toEqual(['me@a:22', 'me@b:22', 'me@t:22'])
})

test('nothing of the configuration is executed: Match exec is left out, and that is said', async () => {
  const marker = join(home, 'ran')
  write(
    'config',
    `Match exec "touch ${marker}"\n User bad\nMatch !exec "touch ${marker}"\n User bad
Match host other exec "touch ${marker}"\n User bad\nMatch localnetwork 10.0.0.0/8\n User bad\nMatch all\n User good
CanonicalizeHostname yes\nCanonicalDomains lab\nStrictHostKeyChecking no`,
  )
  const hop = await only('gpu1')
  expect(hop.user).toBe('good')
  expect(hop.warnings.map((text) => /Match \w+|\(\w+\)/.exec(text)?.[0])).toEqual([
    ...['Match exec', 'Match localnetwork', '(CanonicalizeHostname)', '(StrictHostKeyChecking)'],
  ])
  await expect(import('node:fs/promises').then(({ access }) => access(marker))).rejects.toMatchObject({
    code: 'ENOENT',
  })
})

test('Include: relative to ~/.ssh, globs in order, within its block, not deeper than 16', async () => {
  write('config', 'Include conf.d/*.conf gone\nHost a\n Include inner\nHost *\n Port 7')
  write('conf.d/2.conf', 'User two\n')
  write('conf.d/1.conf', 'Host b\n User one\n')
  write('conf.d/.hidden.conf', 'User hidden\n')
  write('inner', 'Port 9\nHost b\n Port 8\n')
  expect(await names('a')).toEqual(['two@a:9'])
  expect(await names('b')).toEqual(['one@b:7'])
  write('inner', 'Include ~/.ssh/inner\nInclude ~/.ssh/inner\n')
  await expect(resolve('z')).rejects.toEqual(refused('too deep'))
})

test('a file that others may write is refused, an included one too', async () => {
  const file = write('config', 'Include more\n', 0o644)
  const more = write('more', 'User u\n')
  expect(await names('a')).toEqual(['u@a:22'])
  const { chmod } = await import('node:fs/promises')
  await chmod(more, 0o620)
  await expect(resolve('a')).rejects.toMatchObject({
    code: 'SSH_CONFIG_INVALID',
    hint: expect.stringContaining(`chmod go-w ${more}`) as string,
  })
  await chmod(file, 0o602)
  await expect(resolve('a')).rejects.toEqual(refused('could be changed by others'))
})
