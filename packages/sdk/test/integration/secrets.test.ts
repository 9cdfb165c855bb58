/**
 * P7: secrets stay secret. After jobs that got, printed nothing of, failed with and were cancelled holding a secret, its value (and
 * that of a marker planted in our own environment) is looked for in every file of ours, every log line, error and event, and in what
 * `ps` showed of every process while they ran. The jobs prove by a digest that they had the value.
 */
import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createLogger } from '@muster/core'
import { command, type JobHandle, type Muster } from '@muster/sdk'
import { Place } from './place.js'

const SECRET = `s3cret-${randomUUID()}`
const FILED = `filed-${randomUUID()}`
const MARKER = `marker-${randomUUID()}`
const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

let place: Place
let muster: Muster
let logged = ''

beforeEach(async () => {
  place = await Place.make()
  const destination = new PassThrough().on('data', (chunk: Buffer) => (logged += chunk.toString()))
  process.env['MUSTER_TEST_SECRET'] = SECRET
  process.env['PLANTED'] = MARKER
  muster = await place.open({ logger: createLogger({ level: 'debug', destination }) })
})
afterEach(async () => {
  delete process.env['MUSTER_TEST_SECRET']
  delete process.env['PLANTED']
  await place.close()
})

/** Every file below our directory, by name. Throws where one is removed meanwhile, as attempts are: look again. */
async function files(directory: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const read = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => [join(parentPath, name), await readFile(join(parentPath, name))] as const)
  return new Map(await Promise.all(read))
}

/** The command lines of all processes, and the environments of all but the job's own (which must hold the secret). */
async function processes(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const seen = await Promise.all(
    pids.map(async (pid) => {
      const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      const isJobs = /(^|\0)MUSTER_JOB_ID=/.test(environment)
      const isOurs = environment.includes('MUSTER_') || commandLine.includes('sup-')
      return commandLine + (isOurs && !isJobs ? environment : '')
    }),
  )
  return seen.join('\n')
}

async function running(job: JobHandle): Promise<void> {
  await expect.poll(async () => (await job.status()).state, { timeout: 10_000 }).toBe('running')
}

const hash = `printf '"%s"' "$(printf %s "$TOKEN$FILED" | sha256sum | cut -d' ' -f1)"`

test('P7 the value of a secret reaches the job and no other place', async () => {
  const file = `${place.root}.secret`
  await writeFile(file, `${FILED}\n`, { mode: 0o600 })
  const secrets = { TOKEN: { env: 'MUSTER_TEST_SECRET' }, FILED: { file } }
  try {
    const proof = await muster.submit(command({ run: `${hash} >"$MUSTER_RESULT"`, secrets }))
    const environment = await muster.submit(command({ run: 'env' }))
    const failing = await muster.submit(command({ run: 'echo to no avail >&2; exit 3', secrets }))
    const held = await muster.submit(command({ run: 'exec sleep 600', secrets }))
    await running(held)
    const shown = await processes()
    const during = await vi.waitFor(() => files(place.root), { timeout: 10_000 })
    await held.cancel('seen enough')
    expect((await proof.result()).output).toBe(digest(SECRET + FILED))
    expect((await environment.result()).exitCode).toBe(0)
    const error: unknown = await failing.result().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'JOB_FAILED' })
    expect(await held.ended()).toMatchObject({ state: 'cancelled' })
    await held.wait()

    const histories = await Promise.all([proof, environment, failing, held].map((job) => muster.jobs.history(job.id)))
    const places = new Map<string, string | Buffer>([
      ['the log', logged],
      ['ps', shown],
      ['errors', JSON.stringify(error) + String(error instanceof Error && error.stack)],
      ['events', JSON.stringify(histories)],
      ['records', JSON.stringify(await muster.jobs.listJobs({}))],
      ...during,
      ...(await vi.waitFor(() => files(place.root), { timeout: 10_000 })),
    ])
    for (const value of [SECRET, FILED, MARKER])
      for (const [name, content] of places) expect(content.includes(value), `a secret was found in ${name}`).toBe(false)
    expect(places.size).toBeGreaterThan(10)
    expect([...places.keys()].some((name) => name.endsWith('jobs.db'))).toBe(true)
  } finally {
    await rm(file)
  }
})

test('P7 a reference that cannot be resolved keeps the job queued, says which, and whose turn it is', async () => {
  const job = await muster.submit(command({ run: 'true', secrets: { TOKEN: { env: 'MUSTER_TEST_ABSENT' } } }))
  await expect
    .poll(async () => (await muster.cluster.explain(job.id)).sentence, { timeout: 5_000 })
    .toMatch(/TOKEN.*MUSTER_TEST_ABSENT/)
  expect(await job.status()).toMatchObject({ state: 'queued', attempt: 0 })
  process.env['MUSTER_TEST_ABSENT'] = 'here now'
  try {
    expect(await job.result()).toMatchObject({ state: 'completed' })
  } finally {
    delete process.env['MUSTER_TEST_ABSENT']
  }
})
