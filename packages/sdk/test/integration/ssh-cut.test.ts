/**
 * The way to an SSH machine cut while a commit is being sent, and again while the job prints: P2, P3 through open(). What was sent in
 * part is sent again, the job is placed once, and whoever follows its lines gets every one.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { git as gitJob, type JobHandle } from '@muster/sdk'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Place } from './place.js'
import { commit } from './repository.js'
import { far, said, stateDirOf, until } from './ssh-place.js'

const PATIENT = { timeout: 40_000 }
let machine: SshMachine
let way: TcpProxy
let place: Place

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())
beforeEach(async () => {
  way = await tcpProxy(machine)
  place = await Place.make()
})
afterEach(async () => {
  await place.close()
  await way.close()
})

async function lines(job: JobHandle): Promise<string[]> {
  const texts: string[] = []
  for await (const { text } of job.logs()) texts.push(text)
  return texts
}

/** Cuts, lets nobody in until the record says that the job is unconfirmed, and says what it says then. */
async function outage(job: JobHandle): ReturnType<JobHandle['status']> {
  await way.refuse(true)
  way.cut()
  await expect.poll(async () => (await job.status()).conditions.unconfirmedSince, PATIENT).toBeGreaterThan(0)
  const status = await job.status()
  way.throttle(Infinity)
  await way.refuse(false)
  return status
}

test('P2 P3 cut in the middle of a commit, and while it prints: one placement, one run, every line', async () => {
  const home = stateDirOf(machine, place.root)
  const repo = join(place.root, 'repo')
  const head = await commit(repo, { word: 'hello\n', data: randomBytes(2_000_000).toString('latin1') })
  const muster = await place.open(far(machine, place.root, way))
  await expect.poll(async () => (await muster.cluster.machines())[0]?.state, PATIENT).toBe('ready')
  const text = `echo run >>${home}.runs; git rev-parse HEAD; until [ -e ${home}.go ]; do sleep 0.05; done; i=0
    while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done; cat word`
  way.throttle(200_000)
  const job = await muster.submit(gitJob({ repo, run: ['sh', '-c', text] }))
  const followed = lines(job)
  await until(machine, `-n "$(find ${home}/cache -name 'tmp_pack*' 2>/dev/null)"`)
  expect(await outage(job)).toMatchObject({ state: 'scheduled', attempt: 1, failures: 0 })

  await until(machine, `-e ${home}.runs`)
  await expect.poll(async () => (await job.status()).state, PATIENT).toBe('running')
  await way.refuse(true)
  way.cut()
  await said(machine, `touch ${home}.go`)
  await until(machine, `-s ${home}/attempts/${job.id}.1/exit`)
  expect(await outage(job)).toMatchObject({ state: 'running', attempt: 1 })

  const all = [head, ...Array.from({ length: 500 }, (_, i) => String(i)), 'hello']
  expect(await followed).toEqual(all)
  expect(await job.result()).toMatchObject({ exitCode: 0, attempt: 1 })
  expect(await lines(job)).toEqual(all)
  expect(await said(machine, `cat ${home}.runs`)).toBe('run\n')
  const actions = (await muster.jobs.history(job.id)).map(({ action }) => action)
  expect(actions.filter((action) => action === 'place' || action === 'start')).toEqual(['place', 'start'])
})
