/** Items 12 and 13 on SQLite: what can be wrong with the file is a typed error, and one process opens a file once. */
import { jobSpec, systemClock, systemIds } from '@muster/core'
import { openStore, type NewJob } from '@muster/job-manager'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

const run = promisify(execFile)
const PLAIN = `import Database from 'libsql'; new Database(process.argv[1]).exec(process.argv[2])`
const sql = (file: string, text: string) =>
  run(process.execPath, ['--input-type=module', '-e', PLAIN, file, text], { cwd: import.meta.dirname })

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'muster-test-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

const newJob = (): NewJob => ({
  id: systemIds.next(),
  spec: jobSpec({ worker: 'command', input: {} }),
  owner: 'ada',
  payload: null,
  actor: 'user:ada',
})

test('the files of a record are 0600', async () => {
  const file = join(await directory(), 'jobs.db')
  await using store = await openStore(`sqlite:${file}`)
  await store.insert(newJob())
  for (const suffix of ['', '-wal', '-shm']) expect((await stat(file + suffix)).mode & 0o777).toBe(0o600)
})

test('12 no directory, no database, another database: a typed error', async () => {
  const path = await directory()
  await expect(openStore(join(path, 'none', 'jobs.db'))).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
  await writeFile(join(path, 'text'), 'this is no database, and long enough to be looked at as one\n'.repeat(20))
  await expect(openStore(join(path, 'text'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await sql(join(path, 'other.db'), 'CREATE TABLE customer(name TEXT)')
  await expect(openStore(join(path, 'other.db'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await mkdir(join(path, 'directory.db'))
  await expect(openStore(join(path, 'directory.db'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await expect(openStore('postgres://somewhere/db')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

/** A look at the names of the files holds for 5 ms (docs/adr/0012). */
const NOTICED_MS = 10

test('12 a file that is replaced while open is noticed within milliseconds, and nothing is written to either from then on', async () => {
  const path = await directory()
  const file = join(path, 'jobs.db')
  const store = await openStore(file)
  onTestFinished(() => store.close())
  const { job } = await store.insert(newJob())
  await rename(file, join(path, 'moved.db'))
  await systemClock.sleep(NOTICED_MS)
  await expect(store.insert(newJob())).rejects.toMatchObject({ code: 'STORE_REPLACED' })
  await writeFile(file, '')
  await expect(store.insert(newJob())).rejects.toMatchObject({ code: 'STORE_REPLACED' })
  await expect(store.get(job.id)).rejects.toMatchObject({ code: 'STORE_REPLACED' })
  await rm(file)
  await rename(join(path, 'moved.db'), file)
  expect(await store.get(job.id)).toEqual(job)
})

test('13 migrations run once for many who open at the same time; a newer or a foreign schema is refused', async () => {
  const file = join(await directory(), 'jobs.db')
  const opener = `import { openStore } from '@muster/job-manager'
    const store = await openStore(process.argv[1]); console.log(store.recordId); await store.close()`
  const open = () => run(process.execPath, ['--input-type=module', '-e', opener, file], { cwd: import.meta.dirname })
  const ids = (await Promise.all([open(), open(), open()])).map(({ stdout }) => stdout.trim())
  expect(new Set(ids).size).toBe(1)
  await sql(file, `INSERT INTO migration(number, hash, at) VALUES(99, 'x', 0)`)
  await expect(openStore(file)).rejects.toMatchObject({ code: 'STORE_SCHEMA_NEWER' })
  await sql(file, `DELETE FROM migration WHERE number = 99; UPDATE migration SET hash = 'x'`)
  await expect(openStore(file)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
})

test('one process opens a file once, under whatever name, and closing one user leaves the others alone', async () => {
  const path = await directory()
  await symlink(join(path, 'jobs.db'), join(path, 'link.db'))
  const first = await openStore(join(path, 'jobs.db'))
  const second = await openStore(join(path, 'link.db'))
  expect(second.location).toBe(first.location)
  const { job } = await first.insert(newJob())
  await Promise.all([first.close(), first.close()])
  await expect(first.stand('x').won()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  expect(await second.get(job.id)).toEqual(job)
  await second.close()
  const third = await openStore(join(path, 'jobs.db'))
  expect(await third.get(job.id)).toEqual(job)
  await third.close()
})

test('an idle record keeps no process alive, a pending call and a pending watch do', async () => {
  const file = join(await directory(), 'jobs.db')
  const program = (body: string) => `import { openStore } from '@muster/job-manager'
    const store = await openStore(process.argv[1]); store.onChange(() => {}); store.stand('me').won()
    ${body}`
  const node = (body: string) =>
    run(process.execPath, ['--input-type=module', '-e', program(body), file], {
      cwd: import.meta.dirname,
      timeout: 30_000,
    })
  expect((await node(`console.log('idle')`)).stdout).toBe('idle\n')
  expect((await node(`store.list({}, { limit: 1 }).then(() => console.log('answered'))`)).stdout).toBe('answered\n')
  const watching = node(
    `for await (const event of store.watch({ after: 0 })) { console.log(event.action); process.exit() }`,
  )
  await using store = await openStore(file)
  await store.insert(newJob())
  expect((await watching).stdout).toBe('submit\n')
})
