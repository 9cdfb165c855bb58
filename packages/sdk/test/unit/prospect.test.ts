/** What `machines add` and `remove` would write: comments stay, nothing is hidden, what is written is read again. */
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { writeChanges } from '../../src/config/write.js'
import { resolveSettings } from '../../src/config/settings.js'
import { planRemoval, prospectMachine } from '../../src/machines/prospect.js'

const PIN = `SHA256:${'a'.repeat(43)}`
const GPU1 = { machine: { name: 'gpu1', ssh: 'alice@gpu1.lab:2222', labels: { room: 'a' } } }
let home: string
let project: string
let mine: string
let here: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'muster-test-prospect-'))
  project = join(home, 'project')
  await mkdir(project)
  mine = join(home, '.config/muster/config.yaml')
  here = join(project, 'muster.yaml')
  vi.stubEnv('HOME', home)
  vi.stubEnv('XDG_CONFIG_HOME', '')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(home, { recursive: true, force: true })
})

async function add(input: Parameters<typeof prospectMachine>[0] = GPU1): Promise<void> {
  const prospect = await prospectMachine(input, { cwd: project })
  await writeChanges(await prospect.changes(PIN))
}
const machines = async () => (await resolveSettings({}, { directory: project, env: process.env })).machines
const text = (path: string) => readFile(path, 'utf8')
const own = (content: string) =>
  mkdir(join(home, '.config/muster'), { recursive: true }).then(() => writeFile(mine, content))

test('the place goes into muster.yaml, the way into the file of the user; the machine at hand stays', async () => {
  const prospect = await prospectMachine(GPU1, { cwd: project })
  const planned = await prospect.changes(PIN)
  expect(planned.map(({ path, before }) => [path, before])).toEqual([
    [mine, undefined],
    [here, undefined],
  ])
  await expect(text(here)).rejects.toMatchObject({ code: 'ENOENT' })
  await writeChanges(planned)
  expect(await text(here)).not.toContain('SHA256')
  expect((await stat(mine)).mode & 0o777).toBe(0o600)
  expect((await stat(join(home, '.config/muster'))).mode & 0o077).toBe(0)
  expect(await machines()).toEqual([
    { name: 'local', transport: 'local' },
    {
      name: 'gpu1',
      transport: 'ssh',
      labels: { room: 'a' },
      ssh: { destination: 'alice@gpu1.lab:2222', fingerprint: PIN },
    },
  ])
  await expect(prospectMachine(GPU1, { cwd: project })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'gpu1 is configured already, as alice@gpu1.lab:2222',
  })
  // The name now belongs to that host: a repository cannot lend it to another one.
  await writeFile(here, 'machines: [{ name: gpu1, ssh: mallory@evil.example }]')
  await expect(machines()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('comments, order and what else is there stay; remove is the undo', async () => {
  const before = `# our lab
store: sqlite:data/jobs.db # beside the code

machines:
  # the one under the desk
  - { name: desk, transport: local } # slow
  - name: gpu2
    ssh: bob@gpu2.lab
`
  await writeFile(here, before)
  await chmod(here, 0o640)
  await own('# mine\nssh:\n  gpu2.lab: { identityFile: ~/.ssh/lab } # key of the lab\n')
  const personal = await text(mine)
  await add({ ...GPU1, ssh: { identityFile: 'keys/lab', passphraseEnv: 'PASS' } })
  const after = await text(here)
  expect(after.startsWith(before)).toBe(true)
  expect((await stat(here)).mode & 0o777).toBe(0o640)
  for (const comment of ['# mine', '# key of the lab']) expect(await text(mine)).toContain(comment)
  expect((await machines()).map(({ name }) => name)).toEqual(['desk', 'gpu2', 'gpu1'])
  expect((await machines())[2]).toMatchObject({
    ssh: { identityFile: join(project, 'keys/lab'), passphrase: { env: 'PASS' }, fingerprint: PIN },
  })
  await writeChanges(await planRemoval('gpu1', { cwd: project }))
  expect(await text(here)).toBe(before)
  expect(await text(mine)).toBe(personal)
})

test('where the machines stand in the file of the user the new one joins them there', async () => {
  await own('machines: [{ name: gpu2, ssh: bob@gpu2.lab }]\n')
  await add()
  expect((await machines()).map(({ name }) => name)).toEqual(['gpu2', 'gpu1'])
  await expect(text(here)).rejects.toMatchObject({ code: 'ENOENT' })
  await writeChanges(await planRemoval('gpu2', { cwd: project }))
  await writeChanges(await planRemoval('gpu1', { cwd: project }))
  expect(await machines()).toEqual([{ name: 'local', transport: 'local' }])
})

test('nothing is written where a file changed meanwhile, cannot be written, or is not ours to change', async () => {
  const prospect = await prospectMachine(GPU1, { cwd: project })
  const planned = await prospect.changes(PIN)
  await writeFile(here, 'files: elsewhere\n')
  await expect(writeChanges(planned)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  expect(await text(here)).toBe('files: elsewhere\n')
  await expect(text(mine)).rejects.toMatchObject({ code: 'ENOENT' })
  await chmod(here, 0o666)
  await expect(prospectMachine(GPU1, { cwd: project })).rejects.toMatchObject({ code: 'CONFIG_UNSAFE' })
})

test.each([
  [{ machine: { name: 'gpu1', ssh: '-oProxyCommand=x' } }, 'INVALID_ARGUMENT'],
  [{ machine: { name: 'a b', ssh: 'me@host' } }, 'INVALID_ARGUMENT'],
  [{ machine: { name: 'a', transport: 'local' as const } }, 'INVALID_ARGUMENT'],
  [{ machine: { name: 'local', ssh: 'me@host' } }, 'INVALID_ARGUMENT'],
])('refused: %j', async (input, code) => {
  await expect(prospectMachine(input, { cwd: project })).rejects.toMatchObject({ code })
})

test('what nobody configured cannot be removed', async () => {
  await expect(planRemoval('gpu9', { cwd: project })).rejects.toMatchObject({ code: 'UNKNOWN_MACHINE' })
})
