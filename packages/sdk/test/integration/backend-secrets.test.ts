/**
 * P7: the password of a backend stays secret. While jobs run over a server that wants one, while that server is away, is back, and refuses
 * a wrong password, everything that we write, log, throw, tell or show in `ps` is searched for both.
 */
import { createLogger } from '@muster/core'
import { command, type Muster } from '@muster/sdk'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { randomUUID } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { inspect } from 'node:util'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Place } from './place.js'

const PASSWORD = `s3cret-${randomUUID()}`
const WRONG = `wr0ng-${randomUUID()}`

let place: Place
let server: QueueServer | undefined
let said = ''

beforeEach(async () => {
  place = await Place.make()
  said = ''
})
afterEach(async () => {
  await place.close()
  await rm(`${place.root}.password`, { force: true })
  await server?.remove()
})

async function redis(): Promise<QueueServer> {
  return startRedis({ config: [`requirepass ${PASSWORD}`, `user ada on >${PASSWORD} ~* &* +@all`] })
}

async function rabbit(): Promise<QueueServer> {
  const broker = await startRabbit()
  // By one call: each starts a virtual machine of its own.
  const rights = `rabbit_auth_backend_internal:set_permissions(<<"ada">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)`
  const adding = `ok = rabbit_auth_backend_internal:add_user(<<"ada">>, <<"${PASSWORD}">>, <<"test">>), ok = ${rights}.`
  expect(await broker.ctl('eval', adding)).toMatchObject({ code: 0, stdout: 'ok\n' })
  return broker
}

/** Everything that an error says to people and programs. */
function errorText(error: unknown): string {
  return inspect(error, { depth: 9 }) + JSON.stringify(error)
}

/** The error of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Error)
  said += errorText(error)
  return error
}

async function files(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const read = entries.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name)))
  return (await Promise.all(read)).map((content) => content.toString('latin1')).join('\n')
}

async function commandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.join('\n')
}

async function use(muster: Muster, run: string): Promise<void> {
  expect((await (await muster.submit(command({ run }))).result()).exitCode).toBe(0)
}

test.each([
  ['redis', redis],
  ['rabbitmq', rabbit],
])(
  'P7 the password of %s is in no record, log, event, error or process list',
  async (_, start) => {
    server = await start()
    const { host, port } = server
    const scheme = server.url.slice(0, server.url.indexOf(':'))
    const passwordFile = `${place.root}.password`
    await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 })
    const destination = new PassThrough().on('data', (chunk: Buffer) => (said += chunk.toString()))
    const logger = createLogger({ level: 'debug', destination })
    const onWarning = (warning: unknown): void => void (said += errorText(warning))
    const backend = { url: `${scheme}://${host}:${port}`, user: 'ada', passwordFile }
    const muster = await place.open({ backend, logger, onWarning })
    muster.orchestrator.on('published', (event) => (said += JSON.stringify(event)))

    await use(muster, 'env')
    await muster.orchestrator.publish('mails', { to: 'all' })
    await (await muster.orchestrator.receiveMessage('mails', { waitMs: 5_000 }))?.ack()

    await server.stop()
    const away = await failure(muster.orchestrator.publish('mails', 1))
    expect(away).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining(`${port}`) as string })
    await use(muster, 'echo while it is away')
    await server.start()
    await vi.waitFor(() => muster.orchestrator.publish('mails', 2), { timeout: 30_000, interval: 100 })

    const refused = { schedule: true, logger, onWarning } as const
    const url = `${scheme}://ada:${WRONG}@${host}:${port}`
    expect(await failure(place.open({ ...refused, backend: url }))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`${host}:${port}`) as string,
    })
    expect(await failure(place.open({ ...refused, backend: url.replace('@', '@@') }))).toMatchObject({
      code: 'CONFIG_INVALID',
    })

    const { jobs } = await muster.jobs.listJobs()
    const histories = await Promise.all(jobs.map(({ id }) => muster.jobs.history(id)))
    said += JSON.stringify([jobs, histories]) + inspect(muster, { depth: 9 }) + (await commandLines())
    said += await vi.waitFor(() => files(place.root), { timeout: 10_000 })
    expect(said).toContain('while it is away')
    for (const secret of [PASSWORD, WRONG]) {
      const at = said.indexOf(secret)
      expect(at < 0 ? '' : said.slice(Math.max(0, at - 200), at), 'a password follows this').toBe('')
    }
  },
  120_000,
)
