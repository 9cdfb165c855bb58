/** JobManager alone: external jobs, second names, filters; and the program that its README shows. */
import { jobSpec, systemIds } from '@muster/core'
import { openJobManager, type JobManager } from '@muster/job-manager'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

async function place(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'muster-test-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return join(directory, 'jobs.db')
}

async function open(): Promise<JobManager> {
  const file = await place()
  const jobs = await openJobManager({ store: file, user: 'ada' })
  onTestFinished(() => jobs.close())
  return jobs
}

test('examples/track-elsewhere.ts tells the story of a job', async () => {
  const root = resolve(import.meta.dirname, '../../../..')
  const program = ['--import', 'tsx', 'examples/track-elsewhere.ts', await place()]
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root })
  expect(stdout).toContain('attempt 1 failed: oom\nrestarted by user:')
  expect(stdout).toContain('slurm: completed at attempt 2')
})

test('an external job walks the shortest way in one write; only a restart leads out of its end', async () => {
  const jobs = await open()
  const definition = { worker: 'slurm', input: { n: 1 } }
  const job = await jobs.registerJob('mine', definition)
  expect(job).toMatchObject({ state: 'queued', external: true, owner: 'ada' })
  expect((await jobs.registerJob('mine', definition)).id).toBe(job.id)
  const other = jobs.registerJob('mine', { worker: 'slurm', input: { n: 2 } })
  await expect(other).rejects.toMatchObject({ code: 'NAME_CONFLICT' })
  const done = await jobs.updateJobStatus('mine', 'completed', { output: [1, 2], exitCode: 0 })
  expect(done).toMatchObject({ state: 'completed', attempt: 1, exitCode: 0, result: { value: [1, 2] } })
  expect((await jobs.history(job.id)).map(({ action }) => action)).toEqual(['submit', 'ready', 'place', 'succeed'])
  expect(await jobs.updateJobStatus('mine', 'completed')).toEqual(done)
  await expect(jobs.updateJobStatus('mine', 'running')).rejects.toMatchObject({ code: 'ILLEGAL_TRANSITION' })
  await jobs.restartJob('mine')
  expect(await jobs.updateJobStatus('mine', 'failed')).toMatchObject({ state: 'failed', reason: 'exit' })
  await jobs.restartJob('mine')
  await jobs.updateJobStatus('mine', 'running')
  expect(await jobs.store.cancel('mine', 'user:ada', '')).toMatchObject({ outcome: 'cancelled' })
  expect((await jobs.attempts('mine')).map(({ outcome }) => outcome)).toEqual(['succeeded', 'cancelled'])
  expect(await jobs.store.live()).toEqual([])
  expect(await jobs.store.waiting({ limit: 10 })).toEqual([])
})

test("a cluster's job takes second names, and reports of its status from nobody else", async () => {
  const jobs = await open()
  const spec = jobSpec({ worker: 'command', input: {} })
  const id = systemIds.next()
  await jobs.store.insert({ id, spec, owner: 'ada', payload: null, actor: 'user:ada' })
  const definition = { worker: 'command', input: {} }
  expect((await jobs.registerJob('exp-1', definition, id)).id).toBe(id)
  expect((await jobs.registerJob('exp-1', definition, id)).id).toBe(id)
  expect((await jobs.getJob('exp-1'))?.id).toBe(id)
  await expect(jobs.updateJobStatus('exp-1', 'failed')).rejects.toMatchObject({ code: 'MANAGED_BY_CLUSTER' })
  await expect(jobs.registerJob('exp-2', definition, systemIds.next())).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
  await expect(jobs.registerJob(id, definition)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(jobs.history('nobody')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
  expect(await jobs.getJob('nobody')).toBeUndefined()
})

test('unknown filters, states and results are typed errors that name the field', async () => {
  const jobs = await open()
  const hostile = JSON.parse('{"__proto__":"x"}') as Record<string, string>
  const unknown: object = { colour: 'red' }
  for (const attempt of [
    () => jobs.listJobs({ ...unknown }),
    () => jobs.listJobs({ labels: hostile }),
    () => jobs.listJobs({}, { limit: 0 }),
    () => jobs.registerJob('x', { worker: 'w', input: {}, labels: hostile }),
    () => jobs.registerJob('a\0b', { worker: 'w', input: {} }),
    () => jobs.updateJobStatus('x', 'failed', { ...unknown }),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('a queue of jobs is paused and resumed by whoever is named, else by the user; external jobs are not held by it', async () => {
  const jobs = await open()
  await jobs.registerJob('mine', { worker: 'slurm', input: {}, queue: 'night' })
  expect(await jobs.setQueuePaused('night', true)).toBe(true)
  expect((await jobs.pausedQueues()).get('night')).toMatchObject({ by: 'user:ada' })
  expect(await jobs.updateJobStatus('mine', 'running')).toMatchObject({ state: 'running', queue: 'night' })
  expect(await jobs.setQueuePaused('night', false, 'user:bob')).toBe(true)
  expect((await jobs.queueHistory('night')).map(({ paused, actor }) => [paused, actor])).toEqual([
    [true, 'user:ada'],
    [false, 'user:bob'],
  ])
})
