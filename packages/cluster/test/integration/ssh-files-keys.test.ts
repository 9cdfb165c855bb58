/** Private keys as ssh-keygen writes them: which can be used, and what is said about the others. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readIdentities, readSecret } from '../../src/machines/ssh/identities.js'
import { keyTypeOf } from '../../src/machines/ssh/known-hosts.js'
import { keygen, keyRoom } from './ssh-files.js'

const { directory, at, makeKey, blobOf, remove } = keyRoom()
const PHRASE = 'correct horse'
beforeAll(async () => {
  for (const [name, type] of [
    ['ours', 'ed25519'],
    ['rsa', 'rsa'],
  ] as const)
    await makeKey(name, type)
})
afterAll(remove)

const env = { env: 'MUSTER_TEST_PHRASE' }
const explain = (message: string, hint: string): unknown =>
  expect.objectContaining({
    code: 'SSH_CONFIG_INVALID',
    message: expect.stringContaining(message) as string,
    hint: expect.stringContaining(hint) as string,
  })
beforeAll(() => {
  process.env['MUSTER_TEST_PHRASE'] = PHRASE
})
afterAll(() => {
  delete process.env['MUSTER_TEST_PHRASE']
})

test.each([
  ...[['ed25519'], ['rsa'], ['ecdsa'], ['ecdsa', '-b', '521'], ['rsa', '-m', 'PEM'], ['ecdsa', '-m', 'PEM']],
  ['ed25519', '-Z', 'aes256-gcm@openssh.com'],
])('a key of ssh-keygen -t %s %s %s, plain and encrypted', async (type, ...args) => {
  const name = ['key', type, ...args].join('')
  for (const phrase of ['', PHRASE]) {
    const file = await makeKey(`${name}${String(phrase.length)}`, type, ...args, '-N', phrase)
    const { identities, warnings } = await readIdentities([file], env, true)
    expect(warnings).toEqual([])
    expect(identities).toHaveLength(1)
    const [key] = identities
    expect(key).toMatchObject({ file, keyType: keyTypeOf(blobOf(`${name}${String(phrase.length)}`)) })
    expect(key?.publicKey.equals(blobOf(`${name}${String(phrase.length)}`))).toBe(true)
    // What ssh2 gets is enough to sign, and ssh2 is not ours: the public half of ssh-keygen verifies it.
    const signer = key?.key
    const verifier = ssh2.utils.parseKey(readFileSync(`${file}.pub`))
    if (signer === undefined || verifier instanceof Error) throw new Error('unreadable')
    const data = Buffer.from('data')
    expect(verifier.verify(data, signer.sign(data))).toBe(true)
  }
})

test('an explicit key that cannot be used is refused with the line that mends it, any other is left out and said', async () => {
  const encrypted = await makeKey('encrypted', 'ed25519', '-N', PHRASE)
  const open = await makeKey('open', 'ed25519')
  chmodSync(open, 0o640)
  const pkcs8 = await makeKey('pkcs8', 'rsa', '-m', 'PKCS8')
  const cipher = await makeKey('cipher', 'ed25519', '-Z', 'chacha20-poly1305@openssh.com', '-N', PHRASE)
  writeFileSync(at('rubbish'), 'rubbish', { mode: 0o600 })
  writeFileSync(at('wrong'), 'battery staple\n', { mode: 0o600 })
  writeFileSync(at('sk'), securityKey(), { mode: 0o600 })
  const cases = [
    [at('gone'), undefined, 'is missing', 'ssh-keygen -t ed25519'],
    [directory, undefined, 'cannot be read', 'chmod'],
    [open, undefined, 'by others', `chmod 600 ${open}`],
    [encrypted, undefined, 'encrypted', `ssh-add ${encrypted}`],
    [encrypted, { file: at('wrong') }, 'passphrase', `ssh-keygen -y -f ${encrypted}`],
    [cipher, env, 'in a way', `ssh-keygen -p -f ${cipher}`],
    [pkcs8, undefined, 'muster can read', `ssh-keygen -p -f ${pkcs8}`],
    [at('rubbish'), undefined, 'muster can read', 'ssh-keygen'],
    [at('sk'), undefined, 'security key', ''],
    [at('ours.pub'), undefined, 'public key only', at('ours')],
  ] as const
  for (const [file, passphrase, message, hint] of cases) {
    await expect(readIdentities([file], passphrase, true), file).rejects.toEqual(explain(message, hint))
    const { identities, warnings } = await readIdentities([file, at('ours')], passphrase, false)
    expect(identities.map((key) => key.file)).toEqual([at('ours')])
    expect(warnings).toEqual(file.endsWith('.pub') ? [] : [expect.stringContaining(message)])
  }
  expect(await readIdentities([at('id_rsa')], undefined, false)).toEqual({
    identities: [],
    forAgent: [],
    warnings: [],
  })
})

test('what ssh-keygen -p is told to do by a hint mends the key', async () => {
  const pkcs8 = await makeKey('convert', 'rsa', '-m', 'PKCS8')
  await keygen('-p', '-f', pkcs8, '-P', '', '-N', '')
  expect((await readIdentities([pkcs8], undefined, true)).identities).toHaveLength(1)
})

test('the public half of a key that only the agent can use is given', async () => {
  const encrypted = await makeKey('for-agent', 'ed25519', '-N', PHRASE)
  const old = await makeKey('for-agent-old', 'rsa', '-m', 'PEM', '-N', PHRASE)
  const publicKeys = [blobOf('for-agent'), blobOf('for-agent-old'), blobOf('rsa')]
  rmSync(`${encrypted}.pub`)
  const { identities, forAgent } = await readIdentities([encrypted, old, at('rsa.pub')], undefined, false)
  expect(identities).toEqual([])
  expect(forAgent.map(({ publicKey }) => publicKey)).toEqual(publicKeys)
  expect(forAgent.map(({ keyType }) => keyType)).toEqual(['ssh-ed25519', 'ssh-rsa', 'ssh-rsa'])
})

test('a secret comes from its variable or file, and its value into no message', async () => {
  expect(await readSecret(env)).toBe(PHRASE)
  for (const [text, value] of [
    ['a b\n', 'a b'],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
    ['a', 'a'],
    [' a ', ' a '],
  ] as const) {
    writeFileSync(at('secret'), text, { mode: 0o600 })
    expect(await readSecret({ file: at('secret') })).toBe(value)
  }
  await expect(readSecret({ env: 'MUSTER_TEST_GONE' })).rejects.toEqual(explain('MUSTER_TEST_GONE', ''))
  await expect(readSecret({ file: at('gone') })).rejects.toEqual(explain(at('gone'), ''))
  // A default key is left out where it cannot be used, but not because a reference that somebody wrote leads nowhere.
  const encrypted = await makeKey('by-reference', 'ed25519', '-N', PHRASE)
  await expect(readIdentities([encrypted], { env: 'MUSTER_TEST_GONE' }, false)).rejects.toEqual(explain('GONE', ''))
})

test('two passphrases, one wrong: neither stands in the error', async () => {
  const encrypted = await makeKey('quiet', 'ed25519', '-N', PHRASE)
  writeFileSync(at('wrong2'), 'battery staple\n', { mode: 0o600 })
  const error: unknown = await readIdentities([encrypted], { file: at('wrong2') }, true).catch(
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(Error)
  const said = JSON.stringify(error) + String(error) + String(error instanceof Error ? error.cause : '')
  expect(said).not.toMatch(/battery staple|correct horse/)
})

/** A key as `ssh-keygen -t ed25519-sk` would write it, whose token nobody has at hand: its public half is all there is to see. */
function securityKey(): string {
  const field = (data: Buffer | string): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(Buffer.byteLength(data))
    return Buffer.concat([head, Buffer.from(data)])
  }
  const blob = Buffer.concat([field('sk-ssh-ed25519@openssh.com'), field(Buffer.alloc(32, 7)), field('ssh:')])
  const fields = [
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(blob),
    field(Buffer.alloc(64)),
  ]
  const base64 = Buffer.concat([Buffer.from('openssh-key-v1\0'), ...fields]).toString('base64')
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}\n-----END OPENSSH PRIVATE KEY-----\n`
}
