import { execFile } from 'node:child_process'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { command, type MusterError } from '@muster/sdk'
import { Place } from './place.js'

const run = promisify(execFile)
let place: Place

beforeEach(async () => {
  place = await Place.make()
})
afterEach(() => place.close())

/** Runs a script in a process of its own, in this package's directory, with a record of its own. */
async function script(text: string, type: 'commonjs' | 'module'): Promise<string> {
  const env = { ...process.env, MUSTER_STORE: `sqlite:${join(place.root, 'jobs.db')}`, XDG_STATE_HOME: place.root }
  const args = [`--input-type=${type}`, '--eval', text]
  const { stdout } = await run(process.execPath, args, { env, cwd: import.meta.dirname, timeout: 30_000 })
  return stdout
}

describe('open', () => {
  test('says which record it uses, keeps it private, and closes twice', async () => {
    const muster = await place.open()
    expect(muster.location).toBe(`sqlite:${join(place.root, 'jobs.db')}`)
    expect((await stat(join(place.root, 'jobs.db'))).mode & 0o077).toBe(0)
    await Promise.all([muster.close(), muster.close()])
    await muster.close()
  })

  test('a record in a work tree is kept out of its commits, and no .gitignore of others is touched', async () => {
    await mkdir(join(place.root, '.git'))
    const own = join(place.root, 'own')
    await mkdir(own)
    await place.open({ store: `sqlite:${join(own, 'jobs.db')}`, schedule: false })
    expect(await readFile(join(own, '.gitignore'), 'utf8')).toBe('*\n')

    await writeFile(join(place.root, 'code.py'), '')
    await place.open({ schedule: false })
    expect(await readFile(join(place.root, '.gitignore'), 'utf8')).toBe('/jobs.db*\n/files/\n/mirrors/\n')
    await writeFile(join(place.root, '.gitignore'), 'mine\n')
    await place.open({ schedule: false })
    expect(await readFile(join(place.root, '.gitignore'), 'utf8')).toBe('mine\n')
  })

  test('a place that cannot be written is STORE_READ_ONLY', async () => {
    // Not even root can create a file there.
    await expect(place.open({ store: 'sqlite:/sys/jobs.db' })).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('fails with a typed error and leaves nothing open', async () => {
    await expect(place.open({ store: `sqlite:${join(place.root, 'missing', 'jobs.db')}` })).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
    })
  })

  test('is loaded by require() and by import, and an idle one keeps no process alive', async () => {
    const body = `.then((muster) => console.log(muster.location))`
    expect(await script(`require('@muster/sdk').open()${body}`, 'commonjs')).toContain('jobs.db')
    expect(await script(`import { open } from '@muster/sdk'; open()${body}`, 'module')).toContain('jobs.db')
  })

  test('closing while a read is under way is awaited like any other close', async () => {
    const close = `async (muster) => {
      const reading = muster.jobs.listJobs().catch(() => undefined)
      await muster.close(); await reading; console.log('closed') }`
    const text = `require('@muster/sdk').open({ schedule: false }).then(${close})`
    expect(await script(text, 'commonjs')).toBe('closed\n')
  })

  test('a pending await keeps the process alive; running jobs do not', async () => {
    const submit = `const { open, command } = require('@muster/sdk')
      open().then((muster) => muster.submit(command({ run: 'sleep 0.5; echo ran' })))`
    expect(
      await script(`${submit}.then((job) => job.result()).then(({ state }) => console.log(state))`, 'commonjs'),
    ).toBe('completed\n')
    const lines = `async (job) => { for await (const { text } of job.logs()) console.log(text) }`
    expect(await script(`${submit}.then(${lines})`, 'commonjs')).toBe('ran\n')
    expect(await script(`${submit}.then((job) => console.log(job.created))`, 'commonjs')).toBe('true\n')
    const muster = await place.open()
    const { jobs } = await muster.jobs.listJobs()
    for (const { id } of jobs) await (await muster.job(id)).ended()
  })
})

describe('who schedules', () => {
  test('nobody: submit says so, and the job runs as soon as somebody does', async () => {
    const warnings: MusterError[] = []
    const reader = await place.open({ schedule: false, onWarning: (warning) => warnings.push(warning) })
    const job = await reader.submit(command({ run: 'echo late' }))
    expect(warnings).toMatchObject([{ code: 'NOBODY_SCHEDULES', hint: expect.stringContaining('muster up') as string }])
    expect((await job.status()).state).toBe('queued')
    await place.open()
    expect(await job.result()).toMatchObject({ exitCode: 0 })
    await reader.submit(command({ run: 'true' }))
    expect(warnings).toHaveLength(1)
  })
})
