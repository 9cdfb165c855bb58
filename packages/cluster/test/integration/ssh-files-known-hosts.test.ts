/** known_hosts as we read it, against ssh-keygen, which finds and hashes lines, and ssh, which judges. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  fingerprintOf,
  judgeHostKey,
  keyTypeOf,
  knownHostsLine,
  parseKnownHosts,
  readKnownHosts,
} from '../../src/machines/ssh/known-hosts.js'
import { call, keygen, keyRoom } from './ssh-files.js'

const { directory, at, makeKey, blobOf, keyLine, remove } = keyRoom()
beforeAll(async () => {
  for (const [name, type] of [
    ['ours', 'ed25519'],
    ['other', 'ed25519'],
    ['rsa', 'rsa'],
    ['ecdsa', 'ecdsa'],
  ] as const)
    await makeKey(name, type)
})
afterAll(remove)

const HOSTS = [
  ...[
    ['gpu1'],
    ['GPU1'],
    ['gpu2.lab'],
    ['x.lab'],
    ['y.lab'],
    ['gpu1', 2222],
    ['gpu1', 2223],
    ['10.0.0.5'],
    ['::1'],
    ['a.x.lab'],
  ],
] as [host: string, port?: number][]

const text = (): string =>
  [
    [
      '# a comment',
      '',
      keyLine('gpu1,10.0.0.5', 'ours'),
      keyLine('[gpu1]:2222', 'rsa'),
      keyLine('*.lab,!y.lab', 'ours'),
    ],
    [keyLine('::1', 'ecdsa'), 'broken line', keyLine('gpu2.lab', 'other'), ''],
  ]
    .flat()
    .join('\n')

/** The lines that `ssh-keygen -F` finds, which knows no name but the one it is asked for. */
async function linesFound(name: string, file: string): Promise<number[]> {
  const { text: said } = await call('ssh-keygen', ['-F', name, '-f', file])
  return [...said.matchAll(/found: line (\d+)/g)].map(([, line]) => Number(line))
}
async function compare(file: string): Promise<number> {
  const entries = await readKnownHosts([file, at('missing')])
  let found = 0
  for (const [host, port = 22] of HOSTS) {
    const name = port === 22 ? host : `[${host}]:${String(port)}`
    // Asked for a hashed name, ssh-keygen takes it as it is; ssh makes it lower case before.
    const theirs = await linesFound(name.toLowerCase(), file)
    found += theirs.length
    const { known } = judgeHostKey(entries, host, port, blobOf('other'))
    expect([name, known.map(({ line }) => line)]).toEqual([name, theirs])
  }
  return found
}

test('the same lines as ssh-keygen -F: plain, hashed, and after a removal', async () => {
  const file = at('known')
  writeFileSync(file, text())
  expect(await compare(file)).toBe(9)
  const hashed = at('hashed')
  writeFileSync(hashed, text().replace('broken line\n', ''))
  await call('ssh-keygen', ['-H', '-f', hashed])
  expect(readFileSync(hashed, 'utf8')).toMatch(/^\|1\|.*\n.*^\|1\|/ms)
  expect(readFileSync(hashed, 'utf8')).not.toContain('gpu1')
  const before = await compare(hashed)
  await keygen('-R', 'gpu1', '-f', hashed)
  expect(await compare(hashed)).toBe(before - 2)
})

test('the fingerprints and types of ssh-keygen -l', async () => {
  for (const name of ['ours', 'rsa', 'ecdsa']) {
    const [, fingerprint] = (await keygen('-lf', at(name))).split(' ')
    expect(fingerprintOf(blobOf(name))).toBe(fingerprint)
    expect(readFileSync(at(`${name}.pub`), 'utf8').startsWith(`${keyTypeOf(blobOf(name))} `)).toBe(true)
  }
})

test('a line of ours is one of ssh-keygen', async () => {
  for (const [host, port, name] of [
    ['Gpu9', 22, 'gpu9'],
    ['gpu9', 2222, '[gpu9]:2222'],
    ['fe80::1', 9, '[fe80::1]:9'],
  ] as const) {
    writeFileSync(at('line'), knownHostsLine(host, port, blobOf('rsa')))
    expect(await linesFound(name, at('line'))).toEqual([1])
  }
})

test('a file that cannot be read is named', async () => {
  await expect(readKnownHosts([directory])).rejects.toMatchObject({
    code: 'SSH_CONFIG_INVALID',
    message: expect.stringContaining(directory) as string,
  })
})

test('ssh itself, meeting the key, judges as we do', async () => {
  const server = new ssh2.Server({ hostKeys: [readFileSync(at('ours'))] }, (client) => {
    client.on('error', () => undefined).on('authentication', (context) => context.reject())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const here = `[127.0.0.1]:${String(port)}`
  const hashed = at('one-hashed')
  writeFileSync(hashed, `${keyLine(here, 'ours')}\n`)
  await call('ssh-keygen', ['-H', '-f', hashed])
  const cases: [text: string, verdict: string][] = [
    ['', 'unknown'],
    [keyLine(here, 'ours'), 'known'],
    [readFileSync(hashed, 'utf8'), 'known'],
    [keyLine('127.0.0.1', 'ours'), 'known'],
    [keyLine('127.0.0.1', 'other'), 'unknown'],
    [keyLine(here, 'other'), 'changed'],
    [keyLine(here, 'rsa'), 'changed'],
    [`${keyLine(here, 'other')}\r\n${keyLine(here, 'ours')}\r\n`, 'known'],
    [`${keyLine(here, 'rsa')}\n${keyLine('127.0.0.1', 'ours')}`, 'changed'],
    [keyLine(`[127.*]:*,!${here}`, 'ours'), 'unknown'],
    [keyLine(`[127.*]:*,!127.0.0.1`, 'ours'), 'known'],
    [`${keyLine(here, 'ours')}\n@revoked ${keyLine('*', 'ours')}`, 'revoked'],
    [`${keyLine(here, 'ours')}\n@revoked ${keyLine('*', 'other')}`, 'known'],
    [
      `127.0.0.1 ssh-ed25519 AAAA\n${keyLine(here, 'ours').slice(0, -9)}\n${here} ssh-rsa ${blobOf('ours').toString('base64')}`,
      'unknown',
    ],
    [`@cert-authority ${keyLine('*', 'ours')}`, 'unknown'],
    [`@unknown ${keyLine('*', 'ours')}`, 'unknown'],
  ]
  const options = ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'GlobalKnownHostsFile=/dev/null', 'LogLevel=info']
  try {
    for (const [text, verdict] of cases) {
      writeFileSync(at('met'), text)
      const named = [...options, `UserKnownHostsFile=${at('met')}`].flatMap((option) => ['-o', option])
      const said = await call('ssh', ['-F', 'none', ...named, '-p', String(port), '127.0.0.1', 'true'])
      expect([text, theirVerdict(said.text)]).toEqual([text, verdict])
      expect([text, judgeHostKey(parseKnownHosts(text, 'met'), '127.0.0.1', port, blobOf('ours')).verdict]).toEqual([
        text,
        verdict,
      ])
    }
  } finally {
    server.close()
    await once(server, 'close')
  }
})

function theirVerdict(said: string): string {
  if (/REVOKED HOST KEY/.test(said)) return 'revoked'
  if (/IDENTIFICATION HAS CHANGED/.test(said)) return 'changed'
  if (/host key is known for/.test(said)) return 'unknown'
  return /Permission denied/.test(said) ? 'known' : said
}
