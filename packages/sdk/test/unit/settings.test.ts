import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MusterError } from '@muster/core'
import { resolveSettings, type Settings, type SettingsInput } from '../../src/config/settings.js'

let home: string
let project: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'muster-test-settings-'))
  project = join(home, 'project')
  await mkdir(join(home, '.config', 'muster'), { recursive: true })
  await mkdir(project)
})
afterEach(() => rm(home, { recursive: true, force: true }))

function settings(input: SettingsInput = {}, env: Record<string, string> = {}): Promise<Settings> {
  return resolveSettings(input, { directory: project, env: { HOME: home, ...env } })
}

async function config(text: string, mode = 0o644): Promise<void> {
  const path = join(project, 'muster.yaml')
  await writeFile(path, text)
  await chmod(path, mode)
}

describe('where settings come from', () => {
  test('nothing is needed: the record of the user, one machine, files beside the record', async () => {
    expect(await settings()).toEqual({
      backend: 'local',
      storePath: join(home, '.local/state/muster/jobs.db'),
      isDefaultStore: true,
      filesDirectory: join(home, '.local/state/muster/files'),
      machines: [{ name: 'local', transport: 'local' }],
      projectFile: join(project, 'muster.yaml'),
      userFile: join(home, '.config/muster/config.yaml'),
    })
    const state = join(home, 'state')
    expect((await settings({}, { XDG_STATE_HOME: state })).storePath).toBe(join(state, 'muster/jobs.db'))
    expect((await settings({}, { XDG_STATE_HOME: 'relative' })).storePath).toBe(
      join(home, '.local/state/muster/jobs.db'),
    )
  })

  test('options over environment over muster.yaml over the file of the user', async () => {
    await writeFile(join(home, '.config/muster/config.yaml'), 'store: sqlite:user.db\nfiles: userfiles\n')
    expect((await settings()).storePath).toBe(join(home, '.config/muster/user.db'))
    await config('store: sqlite:data/file.db')
    expect((await settings()).storePath).toBe(join(project, 'data/file.db'))
    expect((await settings()).filesDirectory).toBe(join(home, '.config/muster/userfiles'))
    expect((await settings({}, { MUSTER_STORE: 'sqlite:env.db' })).storePath).toBe(join(project, 'env.db'))
    expect((await settings({ store: 'sqlite:/o.db' }, { MUSTER_STORE: 'sqlite:env.db' })).storePath).toBe('/o.db')
    expect((await settings({}, { MUSTER_STORE: '' })).storePath).toBe(join(project, 'data/file.db'))
  })

  test('a parent directory is not looked at', async () => {
    await writeFile(join(home, 'muster.yaml'), 'store: sqlite:parent.db')
    expect((await settings()).isDefaultStore).toBe(true)
  })

  test('machines are read with their units', async () => {
    await config('machines:\n  - { name: here, transport: local, memory: 2GiB, cpus: 3, labels: { room: a } }\n')
    expect((await settings()).machines).toEqual([
      { name: 'here', transport: 'local', memoryBytes: 2 * 2 ** 30, cpus: 3, labels: { room: 'a' } },
    ])
  })
})

describe('machines over SSH', () => {
  const user = (text: string) => writeFile(join(home, '.config/muster/config.yaml'), text)
  const gpu1 = 'machines: [{ name: gpu1, ssh: "alice@gpu1.lab:2222", labels: { room: a } }]\n'
  const machine = async (input: SettingsInput = {}) => (await settings(input)).machines[0]
  const PIN = `SHA256:${'a'.repeat(43)}`

  test('`ssh:` is enough; everything else is taken from where ssh itself takes it', async () => {
    await config(gpu1)
    const basics = { name: 'gpu1', transport: 'ssh', labels: { room: 'a' } }
    expect(await machine()).toEqual({ ...basics, ssh: { destination: 'alice@gpu1.lab:2222' } })
    await config(gpu1.replace('ssh:', 'transport: ssh, ssh:'))
    expect(await machine()).toEqual({ ...basics, ssh: { destination: 'alice@gpu1.lab:2222' } })
  })

  test('how to get there stands in the file of the user: below the host, over that below the name, over that open()', async () => {
    await config(gpu1)
    await user(`ssh:
  gpu1.lab: { identityFile: ~/.ssh/lab, agent: false, passphraseEnv: A, connectTimeout: 5s, configFile: null }
  gpu1: { host: gpu1.lab, fingerprint: '${PIN}', passphraseFile: secrets/pass, knownHostsFiles: [hosts] }
  other: { identityFile: /nowhere }
`)
    const ssh = {
      destination: 'alice@gpu1.lab:2222',
      identityFile: join(homedir(), '.ssh/lab'),
      agent: false,
      passphrase: { file: join(home, '.config/muster/secrets/pass') },
      fingerprint: PIN,
      knownHostsFiles: [join(home, '.config/muster/hosts')],
      connectTimeoutMs: 5_000,
      configFile: null,
    }
    expect(await machine()).toMatchObject({ ssh })
    const given = { ssh: { gpu1: { host: 'gpu1.lab', passwordEnv: 'PW', identityFile: 'key', agent: true } } }
    expect(await machine(given)).toMatchObject({
      ssh: { ...ssh, agent: true, identityFile: join(project, 'key'), password: { env: 'PW' } },
    })
    const machines = [{ name: 'mine', ssh: 'bob@box' }]
    expect(await machine({ machines, ssh: { box: { hostKeys: 'trust-first' } } })).toEqual({
      name: 'mine',
      transport: 'ssh',
      ssh: { destination: 'bob@box', hostKeys: 'trust-first' },
    })
  })

  test.each([
    [`${gpu1}ssh: { gpu1: { identityFile: x } }`, /muster\.yaml:2: ssh is not for a project's file to say/],
    [
      'machines:\n  - name: a\n    ssh: b\n    identityFile: x',
      /:4: machines\.0\.identityFile is not for a project's file/,
    ],
    ['machines: [{ name: a, ssh: b, passwordEnv: X }]', /passwordEnv is not for a project's file/],
    ['machines: [{ name: a, ssh: b, hostKeys: trust-first }]', /hostKeys is not for a project's file/],
  ])('a repository cannot say how: %s', async (text, message) => {
    await config(text)
    const error: unknown = await settings().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) as string })
    expect((error as MusterError).hint).toContain(join(home, '.config/muster/config.yaml'))
  })

  test('nor lead a password or blind trust to a host of its own by using a name of mine', async () => {
    await config('machines: [{ name: gpu1, ssh: mallory@evil.example }]')
    const wrong = (message: RegExp) =>
      expect(settings()).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(message) as string,
      })
    await user('ssh: { gpu1: { passwordEnv: PW } }')
    await wrong(/ssh\.gpu1 holds a password, and a muster\.yaml says that gpu1 is mallory@evil\.example/)
    await user('ssh: { gpu1: { hostKeys: trust-first } }')
    await wrong(/trust-first/)
    await user('ssh: { gpu1: { passwordEnv: PW, host: gpu1.lab } }')
    await wrong(/ssh\.gpu1 is for gpu1\.lab, but gpu1 is mallory@evil\.example/)
    await config(gpu1)
    expect(await machine()).toMatchObject({ ssh: { password: { env: 'PW' } } })
    await config('machines: [{ name: gpu1, ssh: mallory@evil.example }]')
    await user('ssh: { gpu1.lab: { passwordEnv: PW } }')
    expect(await machine()).toMatchObject({ ssh: { destination: 'mallory@evil.example' } })
    expect(await machine()).not.toHaveProperty('ssh.password')
    await user('machines: [{ name: mine, ssh: me@box }]\nssh: { mine: { passwordEnv: PW } }')
    await rm(join(project, 'muster.yaml'))
    expect(await machine()).toMatchObject({ name: 'mine', ssh: { password: { env: 'PW' } } })
  })

  test.each([
    [
      'ssh: { a: { identtyFile: x } }',
      /config\.yaml:1: unknown key "ssh\.a\.identtyFile"; did you mean "identityFile"\?/,
    ],
    ['ssh: { a: { fingerprint: "MD5:aa" } }', /ssh\.a\.fingerprint: must be SHA256:/],
    ['ssh: { a: { passwordEnv: X, passwordFile: y } }', /ssh\.a\.passwordFile: passwordEnv is given, too/],
    ['ssh: { a: { connectTimeout: soon } }', /connectTimeout/],
    ['machines: [{ name: a, ssh: b, agent: false }]', /machines\.0\.agent belongs below ssh/],
  ])('in the file of the user: %s', async (text, message) => {
    await user(text)
    await expect(settings()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message) as string,
    })
  })
})

describe('what is refused', () => {
  const refused = (message: RegExp, code = 'CONFIG_INVALID') => ({
    code,
    message: expect.stringMatching(message) as string,
  })

  test.each([
    ['backnd: local', /muster\.yaml:1: unknown key "backnd"; did you mean "backend"\?/],
    [
      'backend: local\nmachines:\n  - name: a\n    transport: local\n    lables: {}',
      /:5: unknown key .*did you mean "labels"/,
    ],
    ['store: sqlite:x\nnonsense: 1', /:2: unknown key "nonsense"; known are backend, store/],
    ['store: [1', /muster\.yaml:\d+: /],
    ['a: 1\na: 2', /muster\.yaml:2: .*unique/i],
    ['- a', /muster\.yaml:1: .*expected object/],
    ['machines: []', /machines/],
    ['machines: [{ name: "a b", transport: local }]', /:1: machines\.0\.name: must be one word/],
    ['machines: [{ name: a, transport: local, memory: 3 apples }]', /memory: expected a size/],
    ['machines: [{ name: gpu1, transport: ssh }]', /:1: machines\.0\.transport: .* needs `ssh: user@host`/],
    ['machines: [{ name: gpu1, transport: local, ssh: me@gpu1 }]', /is not reached over SSH/],
    ['machines: [{ name: gpu1 }]', /machines\.0\.name: say how it is reached/],
    ['machines: [{ name: gpu1, ssh: "-oProxyCommand=touch x" }]', /machines\.0\.ssh: the destination cannot be used/],
    ['machines: [{ name: gpu1, ssh: "me:hunter2@gpu1" }]', /A password is given by reference/],
    ['store: postgres://host/db', /postgres: arrives with muster 0\.4/],
    ['store: jobs.db', /expected `sqlite:PATH`/],
  ])('%s', async (text, message) => {
    await config(text)
    await expect(settings()).rejects.toMatchObject(refused(message))
  })

  test('a file that others may write', async () => {
    await config('backend: local', 0o666)
    await expect(settings()).rejects.toMatchObject(refused(/can be written by others \(mode 666\)/, 'CONFIG_UNSAFE'))
    await config('backend: local', 0o664)
    await expect(settings()).rejects.toMatchObject(refused(/mode 664/, 'CONFIG_UNSAFE'))
  })

  test('a directory of that name', async () => {
    await mkdir(join(project, 'muster.yaml'))
    await expect(settings()).rejects.toMatchObject(refused(/is not a file/))
  })

  test('an option that does not exist', async () => {
    const odd = { stroe: 'sqlite:x' } as SettingsInput
    await expect(settings(odd)).rejects.toMatchObject(refused(/stroe/, 'INVALID_ARGUMENT'))
  })
})
