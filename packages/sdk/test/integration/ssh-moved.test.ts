/**
 * The record's directory moved to another host: the controller there adopts what runs on machines over SSH (P2, P3), runs what waited
 * with commits from the mirrors beside the record (P1), and says of files that stayed behind where they are. The other host is a
 * process with a host name of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { command, git as gitJob, type OpenOptions } from '@muster/sdk'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { Place } from './place.js'
import { commit } from './repository.js'
import { far, said, stateDirOf, until } from './ssh-place.js'

const CONTROLLER = new URL('fixtures/elsewhere.mjs', import.meta.url).pathname
const OTHER = 'muster-elsewhere'
let machine: SshMachine
let place: Place

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())
beforeEach(async () => {
  place = await Place.make()
})
afterEach(() => place.close())

/** A controller on a host of another name, which reports these jobs; its lines as they come. */
function elsewhere(options: OpenOptions, jobs: readonly string[]): AsyncIterator<string> {
  const argument = JSON.stringify({ hostname: OTHER, open: options, jobs })
  const apart = process.getuid?.() === 0 ? ['--uts'] : ['--user', '--map-root-user', '--uts']
  const words = [...apart, process.execPath, CONTROLLER, argument]
  const child = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

async function next(lines: AsyncIterator<string>): Promise<string> {
  const line = await lines.next()
  if (line.done) throw new Error('the controller elsewhere said nothing more')
  return line.value
}

test('P1 P2 P3 what ran is adopted there and what waited runs there; files that stayed behind are FILE_ELSEWHERE', async () => {
  const home = stateDirOf(machine, place.root)
  const repo = join(place.root, 'repo')
  const pinned = await commit(repo, { word: 'hello\n' })
  const options = far(machine, place.root)
  const muster = await place.open(options)
  const done = await muster.submit(command({ run: 'echo said here' }))
  await done.wait()
  const text = `echo run >>${home}.runs; echo one; until [ -e ${home}.go ]; do sleep 0.05; done; echo two`
  const running = await muster.submit(command({ run: text }), { cpus: 4 })
  for await (const line of running.logs()) if (line.text === 'one') break
  const waiting = await muster.submit(gitJob({ repo, run: ['sh', '-c', 'git rev-parse HEAD; cat word'] }))
  expect((await waiting.status()).state).toBe('queued')
  await muster.close()

  const moved = join(place.root, 'moved')
  await mkdir(moved)
  for (const name of await readdir(place.root))
    if (name.startsWith('jobs.db') || name === 'mirrors') await rename(join(place.root, name), join(moved, name))
  await rm(repo, { recursive: true })

  const there = { ...options, cwd: moved, store: `sqlite:${join(moved, 'jobs.db')}` }
  const lines = elsewhere(there, [running.id, waiting.id, done.id])
  expect(await next(lines)).toBe(`host ${OTHER}`)
  await said(machine, `touch ${home}.go`)
  const reports = [await next(lines), await next(lines), await next(lines)].map((line) => JSON.parse(line) as unknown)
  expect(reports).toEqual([
    { state: 'completed', attempt: 1, reason: null, lines: ['one', 'two'], error: null, files: [OTHER] },
    { state: 'completed', attempt: 1, reason: null, lines: [pinned, 'hello'], error: null, files: [OTHER] },
    {
      ...{ state: 'completed', attempt: 1, reason: null, lines: [] },
      error: { code: 'FILE_ELSEWHERE', details: { host: hostname(), directory: `${done.id}/1` } },
      files: [hostname()],
    },
  ])
  expect(await said(machine, `cat ${home}.runs`)).toBe('run\n')
  await until(machine, `-z "$(ls ${home}/attempts)"`)

  // Back here, with the files where they were: each host reads its own and names the other.
  const back = await place.open({ ...there, files: join(place.root, 'files') })
  const own: string[] = []
  for await (const line of (await back.job(done.id)).logs()) own.push(line.text)
  expect(own).toEqual(['said here'])
  await expect((await back.job(running.id)).logs().next()).rejects.toMatchObject({
    code: 'FILE_ELSEWHERE',
    details: { host: OTHER },
  })
})
