import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
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
      { name: 'here', transport: 'local', memory: 2 * 2 ** 30, cpus: 3, labels: { room: 'a' } },
    ])
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
    ['machines: [{ name: gpu1, ssh: me@gpu1 }]', /SSH arrive with muster 0\.2/],
    ['machines: [{ name: gpu1, transport: ssh }]', /SSH arrive with muster 0\.2/],
    ['backend: redis://host:6379', /redis: arrives with muster 0\.3/],
    ['backend: amqp://host', /amqp: arrives with muster 0\.3/],
    ['store: postgres://host/db', /postgres: arrives with muster 0\.4/],
    ['store: jobs.db', /expected `sqlite:PATH`/],
  ])('%s', async (text, message) => {
    await config(text)
    await expect(settings()).rejects.toMatchObject(refused(message))
  })

  test('a password in a file, without repeating it', async () => {
    await config('backend: redis://user:hunter2@host')
    const error: unknown = await settings().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', hint: expect.stringContaining('MUSTER_BACKEND') as string })
    expect(JSON.stringify(error)).not.toContain('hunter2')
    const fromEnvironment: unknown = await settings({}, { MUSTER_BACKEND: 'redis://user:hunter2@host' }).catch(
      (e: unknown) => e,
    )
    expect(JSON.stringify(fromEnvironment)).not.toContain('hunter2')
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
