/** `backend:` from its four sources: what it may be, who may say what, and that no complaint repeats a password. */
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { resolveSettings, type Settings, type SettingsInput } from '../../src/config/settings.js'

let home: string
let project: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'muster-test-backend-'))
  project = join(home, 'project')
  await mkdir(join(home, '.config', 'muster'), { recursive: true })
  await mkdir(project)
})
afterEach(() => rm(home, { recursive: true, force: true }))

const write = async (path: string, text: string): Promise<void> => {
  await writeFile(path, text)
  await chmod(path, 0o600)
}
const projectSays = (text: string): Promise<void> => write(join(project, 'muster.yaml'), text)
const userSays = (text: string): Promise<void> => write(join(home, '.config/muster/config.yaml'), text)
const settings = (input: SettingsInput = {}, env: Record<string, string> = {}): Promise<Settings> =>
  resolveSettings(input, { directory: project, env: { HOME: home, ...env } })
const backend = async (input: SettingsInput = {}, env: Record<string, string> = {}): Promise<unknown> =>
  (await settings(input, env)).backend
const refused = (message: RegExp) => ({
  code: 'CONFIG_INVALID',
  message: expect.stringMatching(message) as string,
})

describe('where it comes from', () => {
  test('options over environment over muster.yaml over the file of the user over local', async () => {
    expect(await backend()).toBe('local')
    await userSays('backend: redis://user')
    expect(await backend()).toEqual({ url: 'redis://user' })
    await projectSays('backend: amqp://ada@project/%2F')
    expect(await backend()).toEqual({ url: 'amqp://ada@project/%2F' })
    const env = { MUSTER_BACKEND: 'redis://:pw@env' }
    expect(await backend({}, env)).toEqual({ url: 'redis://:pw@env' })
    expect(await backend({ backend: 'amqps://ada:pw@option' }, env)).toEqual({ url: 'amqps://ada:pw@option' })
    expect(await backend({ backend: 'local' }, env)).toBe('local')
    expect(await backend({}, { MUSTER_BACKEND: '' })).toEqual({ url: 'amqp://ada@project/%2F' })
    expect(await backend({}, { MUSTER_BACKEND: 'local' })).toBe('local')
  })

  test('one source wins as a whole: a password of one is never sent to the server of another', async () => {
    await userSays('backend: { url: redis://mine, passwordEnv: PW }')
    await projectSays('backend: redis://other')
    expect(await backend()).toEqual({ url: 'redis://other' })
  })

  test('the object form, its paths relative to its file', async () => {
    await projectSays(`backend:
  url: rediss://a,b:7001
  user: ada
  passwordFile: secrets/pw
  tls: { ca: ../ca.pem, cert: c.pem, key: k.pem, servername: redis }
`)
    expect(await backend()).toEqual({
      url: 'rediss://a,b:7001',
      user: 'ada',
      passwordFile: join(project, 'secrets/pw'),
      tls: {
        ca: join(home, 'ca.pem'),
        cert: join(project, 'c.pem'),
        key: join(project, 'k.pem'),
        servername: 'redis',
      },
    })
    await rm(join(project, 'muster.yaml'))
    await userSays('backend: { url: amqps://h, passwordFile: ~/pw, tls: { key: k, cert: c, verify: false } }')
    expect(await backend()).toEqual({
      url: 'amqps://h',
      passwordFile: join(homedir(), 'pw'),
      tls: {
        key: join(home, '.config/muster/k'),
        cert: join(home, '.config/muster/c'),
        verify: false,
      },
    })
    expect(await backend({ backend: { url: 'redis://h', password: 'pw' } })).toEqual({
      url: 'redis://h',
      password: 'pw',
    })
  })
})

describe('what is refused', () => {
  test.each([
    ['backend: { url: redis://h, pasword: x }', /:1: unknown key "backend\.pasword"; did you mean "password"\?/],
    ['backend: { url: redis://h, passwrdFile: x }', /did you mean "passwordFile"\?/],
    [
      'backend:\n  url: rediss://h\n  tls:\n    cert: c\n    vrify: true',
      /:5: .*"backend\.tls\.vrify"; did you mean "verify"/,
    ],
    ['backend: { user: ada }', /:1: backend\.url: /],
    ['backend: 3', /:1: backend: /],
    ['backend: ""', /:1: backend\.url: /],
    ['backend: { url: local, user: ada }', /backend\.user: the local backend is no server/],
    ['backend: hunter2', /muster\.yaml: backend is no URL/],
    ['backend: ada:hunter2@host:6379', /is no URL/],
    ['backend: kafka://ada:hunter2@host', /has the scheme kafka:, which names no backend/],
    ['backend: redis://ada:hunter2@host', /muster\.yaml: backend holds a password/],
    ['backend: redis://ada:hunter2/3@host', /backend: has an @ where none can stand/],
    ['backend: { url: redis://h, password: hunter2 }', /backend holds a password/],
    ['backend: { redis://ada:hunter2@h : 6379 }', /unknown key "backend\.…"/],
    ['backend: { url: redis://h, passwordEnv: hunter2! }', /must be the name of a variable/],
  ])('in muster.yaml: %s', async (text, message) => {
    await projectSays(text)
    const error: unknown = await settings().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(refused(message))
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('hunter2')
  })

  test('a password in the file of the user, too', async () => {
    await userSays('backend: amqp://ada:hunter2@h')
    const error: unknown = await settings().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(refused(/config\.yaml: backend holds a password/))
    expect(error).toMatchObject({ hint: expect.stringContaining('passwordFile') as string })
    expect(JSON.stringify(error)).not.toContain('hunter2')
  })

  test.each([
    ['redi://h', 'Did you mean redis://HOST?'],
    ['locl', 'Did you mean local?'],
    ['something else', 'Use local, redis://HOST:6379 or amqp://USER@HOST.'],
  ])('%s, with what was meant', async (url, hint) => {
    await expect(settings({}, { MUSTER_BACKEND: url })).rejects.toMatchObject({
      ...refused(/^environment: backend/),
      hint,
    })
  })

  test('an option that is misspelt', async () => {
    const odd = { backend: { url: 'redis://h', pasword: 'hunter2' } } as SettingsInput
    const error: unknown = await settings(odd).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('pasword') as string })
    expect(JSON.stringify(error)).not.toContain('hunter2')
  })
})

describe('P7 what a repository brings cannot lead a secret of ours to its server', () => {
  test('by naming a variable that is there for something else', async () => {
    await projectSays('backend: { url: redis://evil.example, passwordEnv: AWS_SECRET_ACCESS_KEY }')
    const error: unknown = await settings().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(
      refused(/backend\.passwordEnv names a variable that does not begin with MUSTER_BACKEND_/),
    )
    expect(error).toMatchObject({ hint: expect.stringContaining('.config/muster/config.yaml') as string })
    await projectSays('backend: { url: redis://h, passwordEnv: MUSTER_BACKEND_PASSWORD }')
    expect(await backend()).toMatchObject({ passwordEnv: 'MUSTER_BACKEND_PASSWORD' })
    await rm(join(project, 'muster.yaml'))
    await userSays('backend: { url: redis://h, passwordEnv: ANY }')
    expect(await backend()).toMatchObject({ passwordEnv: 'ANY' })
  })

  test.each(['../outside', '~/.ssh/id_ed25519', '/etc/hostname', 'link', 'linked/outside'])(
    'by naming the file %s',
    async (path) => {
      await write(join(home, 'outside'), 'secret')
      await symlink(join(home, 'outside'), join(project, 'link'))
      await symlink(home, join(project, 'linked'))
      for (const key of ['passwordFile: PATH', 'tls: { cert: c, key: PATH }']) {
        await projectSays(`backend: { url: rediss://evil.example, ${key.replace('PATH', path)} }`)
        await expect(settings()).rejects.toMatchObject(refused(/names a file outside of the project's directory/))
      }
      await rm(join(project, 'muster.yaml'))
      await userSays(`backend: { url: rediss://h, passwordFile: ${path} }`)
      expect(await backend()).toMatchObject({ url: 'rediss://h' })
    },
  )

  test('by asking us not to look who answers', async () => {
    await projectSays('backend: { url: rediss://h, tls: { verify: false } }')
    await expect(settings()).rejects.toMatchObject(refused(/tls\.verify is not for a project's file to turn off/))
  })
})

test('P7 a password that somebody writes into muster.yaml, in whatever way, is in no complaint', () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom(
        (secret: string) => `backend: redis://ada:${secret}@host/0\n`,
        (secret: string) => `backend: { url: "redis://:${secret}@host" }\n`,
        (secret: string) => `backend: { url: redis://host, password: ${secret} }\n`,
        (secret: string) => `backend:\n  redis://ada:${secret}@host: 1\n`,
      ),
      fc.string({ maxLength: 6 }),
      fc.string({ maxLength: 6 }),
      async (template, before, after) => {
        await projectSays(template(`${before}hUntEr2${after}`))
        const outcome = await settings().catch((error: unknown) => error)
        if (outcome instanceof Error) {
          expect(outcome).toMatchObject({ code: 'CONFIG_INVALID' })
          expect(inspect(outcome, { depth: 9 }) + JSON.stringify(outcome)).not.toContain('hUntEr2')
        } else expect(JSON.stringify(outcome)).not.toMatch(/hUntEr2.*@host/)
      },
    ),
    { numRuns: 300 },
  ))
