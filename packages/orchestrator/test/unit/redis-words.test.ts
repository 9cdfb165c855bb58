/** Names, slots, warnings and refusals of the Redis backend, as far as they need no server. */
import { expect, test } from 'vitest'
import { parseAddress } from '../../src/address.js'
import { readConfig } from '../../src/backends/redis/config.js'
import { replyCode } from '../../src/backends/redis/errors.js'
import { risksOf } from '../../src/backends/redis/greet.js'
import { encodeName, QueueKeys } from '../../src/backends/redis/keys.js'
import { readSlots, slotOf } from '../../src/backends/redis/slots.js'

test('plain names stand in keys, odd ones as a hash; no two share one', () => {
  const odd = ['a:b', 'a/b', 'a b', '{a}', '}', 'ä', 'a\u0308', '~a', '-', '日本', 'x'.repeat(101), 'ü'.repeat(255)]
  expect(encodeName('jobs.git-1_x')).toBe('jobs.git-1_x')
  for (const name of odd) expect(encodeName(name)).toMatch(/^~[\w-]{32}$/)
  expect(new Set(odd.map(encodeName)).size).toBe(odd.length)
})

test('all keys of a queue are in one slot', () => {
  for (const name of ['a', 'a}b{c', 'ü']) {
    const keys = new QueueKeys('n{s', name)
    expect(new Set([keys.key('meta'), keys.key('wake'), keys.once('x.1')].map(slotOf)).size).toBe(1)
  }
  expect(slotOf('123456789')).toBe(0x31c3) // the check value of CRC16/XMODEM
})

test('where slots are: a server without a name of its own is the one that was asked', () => {
  const answer = [
    [0, 5460, [Buffer.from('10.0.0.1'), 7000, Buffer.from('id')]],
    [5461, 16383, [Buffer.from(''), 7001, Buffer.from('id')]],
  ]
  expect(readSlots(answer, 'fe80::1:7009')).toEqual([
    { from: 0, to: 5460, node: '10.0.0.1:7000' },
    { from: 5461, to: 16383, node: 'fe80::1:7001' },
  ])
})

const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' })

test.each([
  ['READONLY You can’t write against a read only replica.', 'READONLY'],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 7dab, on @user_script:121.", 'OOM'],
  ['ERR Error running script (call to f_7d): @user_script:9: @user_script: 9: -OOM command not allowed', 'OOM'],
  ['ERR DB index is out of range', 'ERR'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'WRONGPASS'],
])('%s', (said, code) => {
  expect(replyCode(reply(said))).toBe(code)
  expect(replyCode(new Error(said))).toBeUndefined()
})

test('what settings put at risk', () => {
  const risks = (settings: Record<string, string>, facts: Record<string, string> = {}): string =>
    risksOf(new Map(Object.entries(facts)), new Map(Object.entries(settings))).join('\n')
  expect(risks({ appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' })).toBe('')
  expect(risks({ appendonly: 'yes', appendfsync: 'everysec' })).toMatch(/two seconds/)
  expect(risks({ appendonly: 'yes', appendfsync: 'no' })).toMatch(/power cut/)
  expect(risks({ appendonly: 'no', save: '3600 1' })).toMatch(/after the last/)
  expect(risks({ appendonly: 'no', save: '' })).toMatch(/every message/)
  expect(risks({}, { aof_enabled: '0', maxmemory_policy: 'allkeys-lru' })).toMatch(/after the last[^]*allkeys-lru/)
  expect(risks({})).toBe('')
})

test.each([
  ['redis://h/x', /number of a database/],
  ['redis://h?prefetch=3', /no option of Redis/],
  ['redis://h?commandTimeout=1ms', /commandTimeout/],
  ['redis://a,b/2', /only database/],
])('%s is refused', async (url, why) => {
  const address = await parseAddress(url)
  expect(() => readConfig(address, 'n')).toThrow(why)
})
