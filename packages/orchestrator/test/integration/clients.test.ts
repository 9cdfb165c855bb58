/**
 * The client libraries are the choice of whoever installs the package: with none of them the local backend works, and a backend that
 * lacks its own says which command mends it. Run in an installation of its own, where no other package can be found.
 */
import { execFile } from 'node:child_process'
import { access, cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const PACKAGES = fileURLToPath(new URL('../../../', import.meta.url))
let place: string

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'muster-test-clients-'))
  const needed = new Map<string, string>()
  for (const name of ['core', 'orchestrator']) {
    const target = join(place, 'node_modules', '@muster', name)
    // Copied, since a link would be followed back to where everything is installed.
    for (const part of ['dist', 'package.json'])
      await cp(join(PACKAGES, name, part), join(target, part), { recursive: true })
    const { dependencies } = JSON.parse(await readFile(join(target, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    for (const dependency of Object.keys(dependencies))
      if (!dependency.startsWith('@muster/')) needed.set(dependency, await directoryOf(dependency, name))
  }
  for (const [name, directory] of needed) await symlink(directory, join(place, 'node_modules', name))
})
afterAll(() => rm(place, { recursive: true, force: true }))

/** Where npm put a dependency of a package of ours: beside it, or at the root. */
async function directoryOf(dependency: string, name: string): Promise<string> {
  const own = join(PACKAGES, name, 'node_modules', dependency)
  return access(own).then(
    () => own,
    () => join(PACKAGES, '..', 'node_modules', dependency),
  )
}

/** What a module of a user's program prints there, as JSON. */
async function program(text: string): Promise<unknown> {
  const source = `import { openOrchestrator } from '@muster/orchestrator'\n${text}`
  const args = ['--input-type=module', '--eval', source]
  return JSON.parse((await promisify(execFile)(process.execPath, args, { cwd: place, timeout: 30_000 })).stdout)
}

test('without any client library the local backend works', async () => {
  const ten = `
    const queues = await openOrchestrator()
    await queues.publish('mails', { to: 'ada' })
    const mail = await queues.receiveMessage('mails')
    console.log(JSON.stringify(mail.body))
    await mail.ack()
    await queues.close()`
  expect(await program(ten)).toEqual({ to: 'ada' })
})

test.each([
  ['redis', 'ioredis'],
  ['rediss', 'ioredis'],
  ['amqp', 'amqplib'],
  ['amqps', 'amqplib'],
])('%s: without %s is an error that names the install command', async (scheme, client) => {
  const open = `
    const error = await openOrchestrator({ backend: '${scheme}://ada:hunter2@127.0.0.1:1' }).catch((thrown) => thrown)
    console.log(JSON.stringify(error))`
  const error = await program(open)
  expect(error).toMatchObject({
    code: 'CLIENT_MISSING',
    hint: `Install it beside muster: npm i ${client}`,
    retryable: false,
  })
  expect(JSON.stringify(error)).not.toContain('hunter2')
})
