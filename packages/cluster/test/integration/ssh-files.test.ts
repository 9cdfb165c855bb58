/** The user's ssh configuration as we read it, against what `ssh -G` makes of it. */
import { writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseDestination } from '../../src/machines/ssh/destination.js'
import { resolveHops } from '../../src/machines/ssh/hops.js'
import { call, keyRoom } from './ssh-files.js'

const { at, remove } = keyRoom()
const { homedir: home, username: user } = userInfo()
afterAll(remove)

const INCLUDED = 'Host inc*\n  User included\n  Port 5\nHost *\n  IdentityFile ~/.ssh/late\n'
const CONFIGS: readonly (readonly [text: string, destinations: readonly string[]])[] = [
  ['', ['gpu1', 'alice@gpu1', 'GPU1', '10.0.0.5']],
  ['Host gpu1\n  HostName 10.0.0.7\n  User bob\n  Port 2222\n', ['gpu1', 'eve@gpu1', 'gpu2', 'Gpu1']],
  ['Host=gpu1\n  HostName = %h.Lab.ORG\n\tPort=23\nuser "someone"\n', ['gpu1', 'x']],
  ['Host *.lab !bad.lab ?x\n  User lab\nHost bad*\n  User bad # a comment\n', ['a.lab', 'bad.lab', 'xx', 'xxx', 'bad']],
  ['Port 7\nHost a\n  Port 8\nHost *\n  User all\n', ['a', 'b']],
  [
    'Host a\n  User first\n  HostName h\nHost a\n  User second\n  Port 9\nMatch host h user first\n  IdentityFile /i\n',
    ['a', 'h'],
  ],
  [
    'Match originalhost a,b !user eve\n  HostName o\nMatch host o\n  Port 4\nMatch all\n  User all\n',
    ['a', 'eve@b', 'c', 'o'],
  ],
  [
    'Match !host a\n  User other\nMatch host "A"\n  User upper\nMatch localuser nobody-here\n  Port 3\n',
    ['a', 'b', 'A'],
  ],
  [
    'Host a\n  HostName b\nHost b\n  User second-reading\nMatch final host b\n  Port 6\nMatch canonical\n  ConnectTimeout 3\n',
    ['a', 'b'],
  ],
  [
    'IdentityFile ~/.ssh/a\nIdentityFile "/with space/b"\nHost a\n  IdentityFile /c\n  IdentityFile ~/.ssh/a\n',
    ['a', 'b'],
  ],
  [
    'Host a\n  UserKnownHostsFile ~/kh_%h /x/%p\n  GlobalKnownHostsFile /g1 /g2\n  Port 44\nHost b\n  UserKnownHostsFile /dev/null\n',
    ['a', 'b'],
  ],
  [
    'Host a\n  ProxyJump u@jump:33,[::1]:44,ssh://v@w:5\nHost b\n  ProxyJump none\nHost b c\n  ProxyJump jump\n',
    ['a', 'b', 'c', 'd'],
  ],
  [
    `Include ${at('inc-*.conf')} ${at('gone')}\nHost a\n  Include ${at('inc-1.conf')}\nHost *\n  Port 6\n`,
    ['a', 'inc', 'other'],
  ],
  [
    `Host a\n  Include ${at('inc-2.conf')}\n  User after\nHost b\n  Include ${at('inc-1.conf')}\n`,
    ['a', 'b', 'incb', 'z'],
  ],
  ['IdentityFile ~/.ssh/key#1\nHost a # b\n  User a#b # c\nHost b\n  User "x#y"\n', ['a', 'b']],
  ['IdentityFile ~/.ssh/my\\ key\nIdentityFile ~/"my key"/x\nIdentityFile \'/single quotes/x\'y\n', ['a']],
  ["User 'single'\nHost 'a' b\n  Port 9\n", ['a', 'b']],
  ['Host a\n  User DOM\\bob\nHost b\n  User DOM\\\\bob\n', ['a', 'b']],
  ['IdentityFile = /eq\nPort=22 \nUser\tt\nSendEnv LANG LC_*\nLocalForward 1 a:2\n', ['a']],
  ['Match host a,\n  User m\n"User" quoted\n', ['a', 'b']],
  ['\r\nHost a\r\n\tHostName b\r\n\r\n# c\r\n  PORT 9\r\n', ['a']],
  ['Host a\n  IdentitiesOnly yes\n  HostKeyAlias k\n  IdentityAgent none\nHost *\n  IdentitiesOnly no\n', ['a', 'b']],
]
const tilde = (path: string): string => path.replace(/^~(?=\/)/, home)
/** Types that ssh2 cannot use are not among our defaults. */
const isOurs = (path: string): boolean => !/id_(xmss|dsa)$/.test(path)

beforeAll(() => {
  writeFileSync(at('inc-1.conf'), INCLUDED, { mode: 0o600 })
  writeFileSync(at('inc-2.conf'), 'Port 77\nHost b\n  Port 78\n', { mode: 0o600 })
})

test.each(CONFIGS)('ssh -G says the same: %j', async (text, destinations) => {
  const configFile = at('config')
  writeFileSync(configFile, text, { mode: 0o600 })
  for (const destination of destinations) {
    const { code, text: said } = await call('ssh', ['-G', '-F', configFile, destination])
    expect([code, code === 0 ? '' : said]).toEqual([0, ''])
    const theirs = (keyword: string): string[] =>
      [...said.matchAll(new RegExp(`^${keyword} (.*)$`, 'gm'))].map(([, value = '']) => value)
    const hops = await resolveHops({ destination, configFile }, { home, user })
    const hop = hops.at(-1)
    const [jumps = ''] = theirs('proxyjump')
    expect({ destination, ...hop, jumps: hops.slice(0, -1).map(({ alias }) => alias) }).toMatchObject({
      destination,
      host: theirs('hostname')[0],
      user: theirs('user')[0],
      port: Number(theirs('port')[0]),
      identityFiles: theirs('identityfile').map(tilde).filter(isOurs),
      identitiesOnly: theirs('identitiesonly')[0] === 'yes',
      knownHostsFiles: [...theirs('userknownhostsfile'), ...theirs('globalknownhostsfile')]
        .join(' ')
        .split(' ')
        .map(tilde),
      jumps: jumps === '' ? [] : jumps.split(',').map((jump) => parseDestination(jump).host),
    })
    expect(hop?.hostKeyAlias).toBe(theirs('hostkeyalias')[0])
    expect(hop?.identityAgent).toBe(theirs('identityagent')[0] === 'none' ? null : undefined)
  }
})

test('what ssh cannot read we cannot read either', async () => {
  for (const [text, line] of [
    ...[
      ['User', 1],
      ['Host a\n  HostName\n  User x', 2],
      ['IdentityFile "/a b" /c', 1],
      ['\nHost "a\n  User u', 2],
      ['Host', 1],
    ],
    ...[
      ["User 'x", 1],
      ['Port 22 23', 1],
      ['Include', 1],
    ],
  ] as [string, number][]) {
    const configFile = at('broken')
    writeFileSync(configFile, text, { mode: 0o600 })
    const { code } = await call('ssh', ['-G', '-F', configFile, 'a'])
    expect([text, code]).toEqual([text, 255])
    await expect(resolveHops({ destination: 'a', configFile }, { home, user }), text).rejects.toMatchObject({
      code: 'SSH_CONFIG_INVALID',
      message: expect.stringContaining(`${configFile} cannot be understood: line ${String(line)}:`) as string,
    })
  }
})
