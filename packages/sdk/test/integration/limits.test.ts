/** What a job declares of its own end: a timeout that the machine keeps, and further attempts. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { command, type Muster } from '@muster/sdk'
import { Place } from './place.js'

let place: Place
let muster: Muster

beforeEach(async () => {
  place = await Place.make()
  muster = await place.open()
})
afterEach(() => place.close())

test('a timeout ends the job on the machine, with its own reason', async () => {
  const job = await muster.submit(command({ run: 'exec sleep 600' }), { timeout: '300ms', grace: '100ms' })
  expect(await job.wait()).toMatchObject({ state: 'failed', reason: 'timeout', attempt: 1 })
  await expect(job.result()).rejects.toMatchObject({ code: 'JOB_FAILED' })
})

test('a job that asked for it is tried again after the backoff, and keeps its history', async () => {
  const run = 'echo "try $MUSTER_ATTEMPT"; [ "$MUSTER_ATTEMPT" = 2 ] || exit 3'
  const job = await muster.submit(command({ run }), { retries: 1 })
  expect(await job.wait()).toMatchObject({ state: 'completed', attempt: 2, failures: 1 })
  const lines: string[] = []
  for await (const { text } of job.logs()) lines.push(text)
  expect(lines).toEqual(['try 1', 'try 2'])
  const ends = (await muster.jobs.attempts(job.id)).map(({ outcome, exitCode }) => [outcome, exitCode])
  expect(ends).toEqual([
    ['exit', 3],
    ['succeeded', 0],
  ])
})

test('without asking, a failure is final', async () => {
  const job = await muster.submit(command({ run: 'exit 3' }))
  expect(await job.wait()).toMatchObject({ state: 'failed', reason: 'exit', exitCode: 3, attempt: 1 })
})
