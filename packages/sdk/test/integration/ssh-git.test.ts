/**
 * Git jobs on a machine over SSH, through open(): the commit gets there by pack over that one connection, whatever the clone is like;
 * what it leaves comes back; secrets (P7) and the controller's credentials do not lie about there.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { createLogger } from '@muster/core'
import { command, git as gitJob, type JobHandle, type Muster } from '@muster/sdk'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Place } from './place.js'
import { commit, git } from './repository.js'
import { far, said, stateDirOf } from './ssh-place.js'

const PATIENT = { timeout: 20_000 }
const SECRET = `s3cret-${randomUUID()}`
const MARKER = `marker-${randomUUID()}`
let machine: SshMachine
let place: Place
let muster: Muster
let home: string
let logged = ''

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())
beforeEach(async () => {
  place = await Place.make()
  home = stateDirOf(machine, place.root)
  process.env['MUSTER_TEST_SECRET'] = SECRET
  process.env['PLANTED'] = MARKER
  const destination = new PassThrough().on('data', (chunk: Buffer) => (logged += chunk.toString()))
  muster = await place.open({ ...far(machine, place.root), logger: createLogger({ level: 'debug', destination }) })
})
afterEach(async () => {
  delete process.env['MUSTER_TEST_SECRET']
  delete process.env['PLANTED']
  await place.close()
})

async function lines(job: JobHandle): Promise<string[]> {
  const texts: string[] = []
  for await (const { text } of job.logs()) texts.push(text)
  return texts
}

/** The packs in the mirrors on the machine: name and bytes. */
async function packs(): Promise<ReadonlyMap<string, number>> {
  const found = await said(machine, `find ${home}/cache/git -name '*.pack' -printf '%s %p\\n'`)
  return new Map(
    found
      .trim()
      .split('\n')
      .map((line) => [line.slice(line.indexOf(' ') + 1), Number.parseInt(line)]),
  )
}

const RUN = [
  'sh',
  '-c',
  'git rev-parse HEAD; cat word; mkdir out; cp word out/copy; printf \'{"n":1}\' >"$MUSTER_RESULT"',
]

test('9 a shallow clone with a detached head: exactly that commit runs; a neighbour sends only what is new, a restart nothing', async () => {
  const noise = Array.from({ length: 60 }, (_, i) => [`data/${i}`, randomBytes(2_000).toString('hex')] as const)
  const origin = join(place.root, 'origin')
  await commit(origin, { word: 'before\n' })
  await commit(origin, { ...Object.fromEntries(noise), word: 'first\n' })
  const clone = join(place.root, 'clone')
  await git(place.root, 'clone', '-q', '--depth', '1', `file://${origin}`, clone)
  await git(clone, 'checkout', '-q', '--detach')
  const first = await git(clone, 'rev-parse', 'HEAD')

  const job = await muster.submit(gitJob({ repo: clone, run: RUN, artifacts: ['out/**'] }))
  expect(await job.result()).toMatchObject({ exitCode: 0, output: { n: 1 } })
  expect(await lines(job)).toEqual([first, 'first'])
  const [artifact] = await job.artifacts(join(place.root, 'here'))
  expect(artifact?.path).toBe('out/copy')
  expect(await readFile(join(place.root, 'here', 'out', 'copy'), 'utf8')).toBe('first\n')
  const sent = await packs()
  expect(sent.size).toBe(1)
  const [whole = 0] = sent.values()
  expect(whole).toBeGreaterThan(60 * 2_000)

  await job.restart()
  expect(await job.result()).toMatchObject({ attempt: 2, exitCode: 0 })
  expect(await packs()).toEqual(sent)

  const second = await commit(clone, { word: 'second\n' })
  const next = await muster.submit(gitJob({ repo: clone, run: RUN }))
  expect(await next.result()).toMatchObject({ exitCode: 0 })
  expect(await lines(next)).toEqual([second, 'second'])
  const [more = 0, ...others] = [...(await packs())].filter(([name]) => !sent.has(name)).map(([, bytes]) => bytes)
  expect(others).toEqual([])
  // The pack as it lies there was completed with the few objects that it builds on.
  expect(more).toBeGreaterThan(0)
  expect(more).toBeLessThan(whole / 10)
  await expect.poll(() => said(machine, `ls ${home}/attempts`), PATIENT).toBe('')
})

test('P7 a secret reaches the job and no other place; nothing of our credentials or environment ever lies on the machine', async () => {
  const repo = join(place.root, 'repo')
  await commit(repo, { word: 'hello\n' })
  const secrets = { TOKEN: { env: 'MUSTER_TEST_SECRET' } }
  const digest = `printf %s "$TOKEN" | sha256sum | cut -c1-64`
  const text = `[ $(${digest}) = ${sha256(SECRET)} ] || exit 9; echo up; until [ -e ${home}.go ]; do sleep 0.05; done; env -u TOKEN`
  const job = await muster.submit(gitJob({ repo, run: ['sh', '-c', text], secrets }))
  const other = await muster.submit(command({ run: 'exit 3', secrets }))
  await expect(other.result()).rejects.toMatchObject({ code: 'JOB_FAILED' })
  for await (const line of job.logs()) if (line.text === 'up') break

  // As root and with everything running: arguments of all, environments of all but the job's own, every file of the account.
  const shown = await said(machine, `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '`)
  const environments = await said(
    machine,
    `for p in /proc/[0-9]*; do grep -qa 'MUSTER_JOB_ID=' $p/environ 2>/dev/null || tr '\\0' ' ' <$p/environ; done 2>/dev/null; :`,
  )
  const key = (await readFile(machine.identityFile, 'utf8')).split('\n')[3] ?? ''
  expect(shown).toContain('sleep')
  for (const value of [SECRET, MARKER, key]) {
    expect({ value, found: shown.includes(value) || environments.includes(value) }).toEqual({ value, found: false })
    const { stdout } = await machine.exec(`grep -rlFe '${value}' /home /tmp /run /var/tmp`)
    expect({ value, stdout }).toEqual({ value, stdout: '' })
  }
  await said(machine, `touch ${home}.go`)
  expect(await job.result()).toMatchObject({ exitCode: 0 })

  const environment = (await lines(job)).join('\n')
  expect(environment).toMatch(/^MUSTER_JOB_ID=/m)
  expect(environment).toMatch(new RegExp(`^HOME=/home/${machine.user}$`, 'm'))
  expect(environment).not.toMatch(/SSH_AUTH_SOCK|GIT_|SSH_CONNECTION|MUSTER_TEST_SECRET|PLANTED/)
  await muster.close()
  const entries = await readdir(place.root, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  expect(files.some((name) => name.endsWith('jobs.db'))).toBe(true)
  for (const name of files) {
    const content = await readFile(name)
    for (const value of [SECRET, MARKER]) expect(content.includes(value), `a secret was found in ${name}`).toBe(false)
  }
  for (const value of [SECRET, MARKER, key]) expect(logged.includes(value)).toBe(false)
})

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
