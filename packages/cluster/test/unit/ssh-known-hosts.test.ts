/** known_hosts: what makes a key known, changed, revoked; and lines that say nothing. */
import { expect, test } from 'vitest'
import {
  fingerprintOf,
  judgeHostKey,
  keyTypeOf,
  knownHostsLine,
  knownKeyTypes,
  parseKnownHosts,
} from '../../src/machines/ssh/known-hosts.js'
import { matchesList, matchesPattern } from '../../src/machines/ssh/patterns.js'

const key = (type: string, seed: number): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(type.length)
  return Buffer.concat([head, Buffer.from(type), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, seed)])
}
const ours = key('ssh-ed25519', 1)
const other = key('ssh-ed25519', 2)
const rsa = key('ssh-rsa', 3)
const line = (names: string, blob: Buffer): string => `${names} ${keyTypeOf(blob)} ${blob.toString('base64')}`
const judge = (text: string, host: string, port = 22, shown = ours) =>
  judgeHostKey(parseKnownHosts(text, 'kh'), host, port, shown)
const verdict = (...args: Parameters<typeof judge>) => judge(...args).verdict

test.each([
  ['a plain name', line('gpu1', ours), 'gpu1', 22, 'known'],
  ['case does not matter', line('GPU1.Lab', ours), 'gpu1.LAB', 22, 'known'],
  ['another name', line('gpu1', ours), 'gpu10', 22, 'unknown'],
  ['another key', line('gpu1', other), 'gpu1', 22, 'changed'],
  ['a key of another type only', line('gpu1', rsa), 'gpu1', 22, 'changed'],
  ['one of several', `${line('gpu1', other)}\n${line('gpu1', ours)}`, 'gpu1', 22, 'known'],
  ['a port', line('[gpu1]:2222', ours), 'gpu1', 2222, 'known'],
  ['another port', line('[gpu1]:2222', ours), 'gpu1', 2223, 'unknown'],
  ['a port is not 22', line('[gpu1]:2222', ours), 'gpu1', 22, 'unknown'],
  ['the name alone serves other ports', line('gpu1', ours), 'gpu1', 2222, 'known'],
  ['the name alone has not changed there', line('gpu1', other), 'gpu1', 2222, 'unknown'],
  ['the name with its port goes first', `${line('gpu1', ours)}\n${line('[gpu1]:9', other)}`, 'gpu1', 9, 'changed'],
  ['a list', line('a,gpu1,b', ours), 'gpu1', 22, 'known'],
  ['wildcards', line('*.lab,gpu?', ours), 'x.lab', 22, 'known'],
  ['a wildcard with a port', line('[*.lab]:9', ours), 'x.lab', 9, 'known'],
  ['negation', line('*.lab,!x.lab', ours), 'x.lab', 22, 'unknown'],
  ['negation alone', line('!y', ours), 'x', 22, 'unknown'],
  ['IPv6', line('fe80::1', ours), 'FE80::1', 22, 'known'],
  ['IPv6 with a port', line('[fe80::1]:9', ours), 'fe80::1', 9, 'known'],
  ['revoked beats known', `${line('gpu1', ours)}\n@revoked ${line('*', ours)}`, 'gpu1', 22, 'revoked'],
  ['revoked at every port', `${line('[gpu1]:9', ours)}\n@revoked ${line('gpu1', ours)}`, 'gpu1', 9, 'revoked'],
  ['another key is revoked', `${line('gpu1', ours)}\n@revoked ${line('*', other)}`, 'gpu1', 22, 'known'],
  ['revoked elsewhere', `@revoked ${line('gpu2', ours)}`, 'gpu1', 22, 'unknown'],
  ['an authority is no key', `@cert-authority ${line('*', ours)}`, 'gpu1', 22, 'unknown'],
  ['an unknown marker', `@trusted ${line('*', ours)}`, 'gpu1', 22, 'unknown'],
] as const)('%s', (_, text, host, port, expected) => {
  expect(verdict(text, host, port)).toBe(expected)
  expect(verdict(`${text.replaceAll('\n', '\r\n')}\r\n`, host, port)).toBe(expected)
})

test('what is known is listed with its place, and authorities are counted', () => {
  const text = `# a comment\n\n${line('gpu1', other)} a comment\n@cert-authority ${line('gpu*', rsa)}\n\t${line('gpu1', rsa)}`
  expect(judge(text, 'gpu1')).toEqual({
    verdict: 'changed',
    authorities: 1,
    known: [
      { fingerprint: fingerprintOf(other), keyType: 'ssh-ed25519', file: 'kh', line: 3 },
      { fingerprint: fingerprintOf(rsa), keyType: 'ssh-rsa', file: 'kh', line: 5 },
    ],
  })
})

test('broken lines say nothing', () => {
  const base64 = ours.toString('base64')
  const broken = [
    'gpu1',
    'gpu1 ssh-ed25519',
    'gpu1 ssh-ed25519 !!!!',
    `gpu1 ssh-rsa ${base64}`,
    `gpu1 ssh-ed25519 ${base64.slice(0, 8)}`,
    `gpu1 1024 35 ${'9'.repeat(300)}`,
    `@revoked`,
    `@revoked @revoked ${line('*', ours)}`,
    `#${line('gpu1', ours)}`,
    `|1|x ssh-ed25519 ${base64}`,
    `|2|x|y ssh-ed25519 ${base64}`,
    '\0'.repeat(99),
  ]
  for (const text of broken) expect([text, verdict(text, 'gpu1')]).toEqual([text, 'unknown'])
  expect(verdict([...broken, line('gpu1', ours)].join('\n'), 'gpu1')).toBe('known')
})

test('the key exchange is asked for what is known', () => {
  const text = [line('gpu1', rsa), line('gpu1', ours), `@revoked ${line('gpu1', key('ecdsa-sha2-nistp256', 1))}`].join(
    '\n',
  )
  const entries = parseKnownHosts(`${text}\n${line('gpu1', key('sk-ssh-ed25519@openssh.com', 4))}`, 'kh')
  expect(knownKeyTypes(entries, 'gpu1', 22)).toEqual(['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'])
  expect(knownKeyTypes(entries, 'gpu1', 2222)).toEqual(['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'])
  expect(knownKeyTypes(entries, 'gpu2', 22)).toEqual([])
})

test('a line that we write makes exactly this key known', () => {
  for (const [host, port] of [
    ['Gpu1', 22],
    ['gpu1', 2222],
    ['fe80::1', 2222],
    ['::1', 22],
  ] as const) {
    const text = knownHostsLine(host, port, ours)
    expect(text.endsWith('\n')).toBe(true)
    expect([verdict(text, host, port), verdict(text, host, port, other)]).toEqual(['known', 'changed'])
  }
})

test('patterns take the whole text, and no pattern takes long', () => {
  for (const [text, pattern] of [
    ['', ''],
    ['', '*'],
    ['abc', 'a*c'],
    ['abc', '*'],
    ['abbc', 'a*b?'],
    ['aab', '*ab'],
    ['a', 'a**'],
  ] as const)
    expect([text, pattern, matchesPattern(text, pattern)]).toEqual([text, pattern, true])
  for (const [text, pattern] of [
    ['', '?'],
    ['abc', 'ab'],
    ['abc', 'bc'],
    ['abc', 'a*d'],
    ['ab', 'a?b'],
    ['a.b', 'a\\.b'],
  ] as const)
    expect([text, pattern, matchesPattern(text, pattern)]).toEqual([text, pattern, false])
  expect(matchesPattern('a'.repeat(2_000), `${'*a'.repeat(500)}b`)).toBe(false)
  expect(matchesList('a', ['*', '!a'])).toBe(false)
})
