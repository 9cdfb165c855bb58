/** Addresses: what a URL and an object mean, what is refused, and that no password is in anything that could be shown. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseAddress, type BackendConfig, type ServerAddress } from '../../src/address.js'

let place: string
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'muster-test-address-'))
})
afterEach(() => rm(place, { recursive: true, force: true }))

const file = async (name: string, content: string): Promise<string> => {
  await writeFile(join(place, name), content)
  await chmod(join(place, name), 0o600)
  return join(place, name)
}
const parse = (where: string | BackendConfig, env: Record<string, string> = {}): Promise<ServerAddress> =>
  parseAddress(where, env)
const plain = { user: undefined, password: undefined, path: '', tls: undefined, options: {} }
const PEM = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'

/** All that an address could be turned into by accident. */
const shownForms = (address: ServerAddress): string =>
  [address.shown, JSON.stringify(address), JSON.stringify({ address }), inspect(address, { depth: 9 })].join('\n')
const errorForms = (error: unknown): string =>
  [inspect(error, { depth: 9 }), JSON.stringify(error), error instanceof Error ? error.stack : ''].join('\n')

describe('what a URL means', () => {
  test.each<[string, Partial<ServerAddress>, string]>([
    ['redis://host', { hosts: [{ host: 'host', port: 6379 }] }, 'redis://host:6379'],
    ['REDIS://Host:1/3', { hosts: [{ host: 'host', port: 1 }], path: '3' }, 'redis://host:1/3'],
    ['amqp://queue_1', { hosts: [{ host: 'queue_1', port: 5672 }] }, 'amqp://queue_1:5672'],
    ['amqp://h/', { hosts: [{ host: 'h', port: 5672 }] }, 'amqp://h:5672'],
    ['amqp://h/%2F', { hosts: [{ host: 'h', port: 5672 }], path: '/' }, 'amqp://h:5672/%2F'],
    ['redis://[::1]:7', { hosts: [{ host: '::1', port: 7 }] }, 'redis://[::1]:7'],
    ['redis://[FE80::1%25eth0]', { hosts: [{ host: 'fe80::1%eth0', port: 6379 }] }, 'redis://[fe80::1%25eth0]:6379'],
    [
      'redis://bücher.example',
      { hosts: [{ host: 'xn--bcher-kva.example', port: 6379 }] },
      'redis://xn--bcher-kva.example:6379',
    ],
    [
      'redis://a:7000,b:7001,[::2]',
      {
        hosts: [
          { host: 'a', port: 7000 },
          { host: 'b', port: 7001 },
          { host: '::2', port: 6379 },
        ],
      },
      'redis://a:7000,b:7001,[::2]:6379',
    ],
    [
      'amqp://al%40ice:p%2Fw%3A%25@h?heartbeat=5&x=a%26b',
      { user: 'al@ice', password: 'p/w:%', hosts: [{ host: 'h', port: 5672 }], options: { heartbeat: '5', x: 'a&b' } },
      'amqp://al%40ice@h:5672',
    ],
    ['redis://:pw@h', { password: 'pw', hosts: [{ host: 'h', port: 6379 }] }, 'redis://h:6379'],
    ['redis://ada@h', { user: 'ada', hosts: [{ host: 'h', port: 6379 }] }, 'redis://ada@h:6379'],
  ])('%s', async (url, parts, shown) => {
    const scheme = /^\w+/.exec(url)?.[0].toLowerCase()
    expect({ ...(await parse(url)) }).toEqual({ ...plain, scheme, ...parts, shown })
  })

  test('TLS by its scheme, verified', async () => {
    const tls = { ca: undefined, cert: undefined, key: undefined, servername: undefined, verify: true }
    expect(await parse('rediss://h')).toMatchObject({ hosts: [{ port: 6379 }], tls })
    expect(await parse('amqps://h')).toMatchObject({ hosts: [{ port: 5671 }], tls })
  })

  test.each([
    ['h:6379', /is no URL/],
    ['', /is no URL/],
    ['http://h', /the scheme http: names no queue server/],
    ['redis://', /a host in it is missing/],
    ['redis://a,,b', /a host in it is missing/],
    ['redis://a b', /a host in it is missing/],
    ['redis://[::x]', /a host in it is missing/],
    ['redis://::1', /port/],
    ['redis://h:0', /port/],
    ['redis://h:65536', /port/],
    ['redis://h:', /port/],
    ['redis://h/a/b', /more than one part/],
    ['redis://h/0#x', /no #/],
    ['redis://h?a=1&a=2', /twice/],
    ['redis://h?=1', /no name/],
    ['redis://h/%00', /control character/],
    ['redis://h/%', /a % that begins/],
    ['redis://u:@h', /password in the URL is empty/],
  ])('refused: %s', async (url, message) => {
    await expect(parse(url)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message) as string,
    })
  })
})

describe('the object form', () => {
  test('a password by file, by variable, or given; a user beside the URL', async () => {
    const url = 'redis://h'
    expect(await parse({ url, user: 'ada', passwordFile: await file('pw', 's p\n') })).toMatchObject({
      user: 'ada',
      password: 's p',
    })
    expect(await parse({ url, passwordEnv: 'PW' }, { PW: 'from env\n' })).toMatchObject({ password: 'from env\n' })
    expect(await parse({ url, password: 'given' })).toMatchObject({ password: 'given', shown: 'redis://h:6379' })
  })

  test('certificates are read', async () => {
    const [ca, cert, key] = [await file('ca', PEM), await file('cert', PEM + PEM), await file('key', `${PEM}key`)]
    const tls = { ca, cert, key, servername: 'other', verify: false }
    expect(await parse({ url: 'amqps://h', tls })).toMatchObject({
      tls: { ca: PEM, cert: PEM + PEM, key: `${PEM}key`, servername: 'other', verify: false },
    })
  })

  test.each<[unknown, RegExp]>([
    [{ url: 'redis://a@h', user: 'b' }, /a user is given in the URL and beside it/],
    [{ url: 'redis://:hunter2@h', password: 'hunter2' }, /given more than once/],
    [{ url: 'redis://h', passwordEnv: 'A', passwordFile: 'b' }, /given more than once/],
    [{ url: 'redis://h', passwordEnv: 'ABSENT' }, /the variable ABSENT is not set/],
    [{ url: 'redis://h', passwordEnv: 'hunter2!' }, /must be the name of a variable/],
    [
      { url: 'redis://h', passwordFile: '/nonexistent/pw' },
      /passwordFile: \/nonexistent\/pw cannot be read \(ENOENT\)/,
    ],
    [{ url: 'redis://h', passwordFile: '/dev/null' }, /is empty/],
    [{ url: 'redis://h', tls: {} }, /without TLS/],
    [{ url: 'rediss://h', tls: { cert: 'x' } }, /given together/],
    [{ url: 'rediss://h', tls: { ca: '/dev/null' } }, /holds no PEM/],
    [{ url: 'rediss://h', tls: { verfy: false } }, /verfy/],
    [{ url: 'redis://h', pasword: 'hunter2' }, /pasword/],
    [{ uri: 'redis://:hunter2@h' }, /uri/],
  ])('refused: %j', async (config, message) => {
    const error: unknown = await parse(config as BackendConfig).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) as string })
    expect(errorForms(error)).not.toContain('hunter2')
  })
})

describe('P7 a password', () => {
  // A marker that no key, host or sentence contains, among characters of every kind.
  const password = fc
    .tuple(fc.string({ unit: 'binary', maxLength: 8 }), fc.string({ maxLength: 8 }))
    .map(([before, after]) => `${before}hUntEr2${after}`)
    .filter((value) => value.isWellFormed() && !/\p{Cc}/u.test(value))
  const scheme = fc.constantFrom('redis', 'rediss', 'amqp', 'amqps')
  const tail = fc.constantFrom('', '/0', '/0?a=1', '?a=1')

  test('that is encoded arrives as it is, and is in nothing that can be shown', () =>
    fc.assert(
      fc.asyncProperty(scheme, password, tail, async (name, secret, rest) => {
        const address = await parse(`${name}://ada:${encodeURIComponent(secret)}@h${rest}`)
        expect(address).toMatchObject({ user: 'ada', password: secret, hosts: [{ host: 'h' }] })
        expect(shownForms(address)).not.toContain('hUntEr2')
        const beside = await parse({ url: `${name}://h${rest}`, user: 'ada', password: secret })
        expect(beside.password).toBe(secret)
        expect(shownForms(beside)).not.toContain('hUntEr2')
      }),
    ))

  test('that is not encoded is read or refused, and never shown', () =>
    fc.assert(
      fc.asyncProperty(scheme, password, tail, async (name, secret, rest) => {
        const outcome = await parse(`${name}://ada:${secret}@h${rest}`).catch((error: unknown) => error)
        if (outcome instanceof Error) {
          expect(outcome).toMatchObject({ code: 'CONFIG_INVALID' })
          expect(errorForms(outcome)).not.toContain('hUntEr2')
        } else expect(shownForms(outcome as ServerAddress)).not.toContain('hUntEr2')
      }),
      { numRuns: 500 },
    ))

  test('in a URL that is mangled anywhere is never repeated', () =>
    fc.assert(
      fc.asyncProperty(password, fc.nat(60), fc.string({ unit: 'binary', maxLength: 4 }), async (secret, at, junk) => {
        const whole = `redis://ada:${encodeURIComponent(secret)}@h:6379/0?a=1`
        const url = whole.slice(0, at) + junk + whole.slice(at)
        const outcome = await parse(url).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(errorForms(outcome)).not.toContain('hUntEr2')
        else expect(shownForms(outcome as ServerAddress)).not.toContain('hUntEr2')
      }),
      { numRuns: 500 },
    ))

  test('cannot be an option of the URL', async () => {
    await expect(parse('redis://h?password=hunter2')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/cannot be an option/) as string,
    })
  })

  test('in a file that cannot be read is named by the file alone', async () => {
    const error: unknown = await parse({ url: 'redis://h', passwordFile: place }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ message: expect.stringMatching(/EISDIR/) as string })
  })
})
