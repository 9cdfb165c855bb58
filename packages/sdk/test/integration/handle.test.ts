import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { command, JobError, type JobHandle, type LogLine, type Muster } from '@muster/sdk'
import { Place } from './place.js'

let place: Place
let muster: Muster

beforeEach(async () => {
  place = await Place.make()
  muster = await place.open()
})
afterEach(() => place.close())

async function lines(job: JobHandle, options?: Parameters<JobHandle['logs']>[0]): Promise<LogLine[]> {
  const seen: LogLine[] = []
  for await (const line of job.logs(options)) seen.push(line)
  return seen
}

async function texts(job: JobHandle): Promise<string[]> {
  return (await lines(job)).map(({ text }) => text)
}

describe('a job that completes', () => {
  test('is data and methods, gives its lines, its output, its artifacts, its history', async () => {
    const run = `
      echo first; printf 'half' ; sleep 0.3; echo ' a line'
      echo '{"answer": 42}' >"$MUSTER_RESULT"; echo kept >"$MUSTER_ARTIFACTS/note.txt"; printf 'no newline'`
    const job = await muster.submit(command({ run }))
    expect(JSON.parse(JSON.stringify(job))).toEqual({ id: job.id, created: true })
    expect('then' in job).toBe(false)
    expect(await lines(job)).toEqual([
      { text: 'first', attempt: 1, offset: 0 },
      { text: 'half a line', attempt: 1, offset: 6 },
      { text: 'no newline', attempt: 1, offset: 18 },
    ])
    expect(await job.result()).toMatchObject({ state: 'completed', exitCode: 0, output: { answer: 42 }, attempt: 1 })
    const copied = await job.artifacts(join(place.root, 'here'))
    expect(copied.map(({ path }) => path)).toEqual(['note.txt'])
    expect(await readFile(join(place.root, 'here', 'note.txt'), 'utf8')).toBe('kept\n')
    const actions: string[] = []
    for await (const event of job.events()) actions.push(event.action)
    expect(actions).toEqual(['submit', 'ready', 'place', 'start', 'succeed', 'collected'])
    // Now everything is read from files: the same lines, at the same offsets.
    expect((await lines(job)).map(({ offset }) => offset)).toEqual([0, 6, 18])
  })

  test('is the same job from another process that does not schedule, by its id', async () => {
    const job = await muster.submit(command({ run: 'echo said' }))
    const other = await place.open({ schedule: false })
    const again = await other.job(job.id)
    expect(again.created).toBe(false)
    expect(await texts(again)).toEqual(['said'])
    expect(await again.result()).toMatchObject({ exitCode: 0, output: null })
  })

  test('its large result comes from its file, whole', async () => {
    const run = [
      'node',
      '-e',
      `require('fs').writeFileSync(process.env.MUSTER_RESULT, JSON.stringify(Array(50000).fill('ä')))`,
    ]
    const job = await muster.submit(command({ run }))
    const { output } = await job.result()
    expect(output).toEqual(Array(50_000).fill('ä'))
  })
})

describe('lines while the job runs', () => {
  test('arrive before it has ended, and the follower sees every one', async () => {
    const job = await muster.submit(
      command({ run: 'i=0; while [ $i -lt 30 ]; do echo $i; i=$((i+1)); sleep 0.05; done' }),
    )
    const seen: string[] = []
    let early = 0
    for await (const { text } of job.logs()) {
      if ((await job.status()).state === 'running') early++
      seen.push(text)
    }
    expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => String(i)))
    expect(early).toBeGreaterThan(0)
  })

  test('megabytes and odd bytes arrive once and in order, also to a slow reader', async () => {
    const program = `const b = Buffer.alloc(3_000_000); for (let i = 0; i < b.length; i++) b[i] = (i * 31) % 251; process.stdout.write(b)`
    const job = await muster.submit(command({ run: ['node', '-e', program] }))
    const pieces: Buffer[] = []
    for await (const { bytes, offset } of job.logBytes()) {
      expect(offset).toBe(pieces.reduce((sum, piece) => sum + piece.length, 0))
      pieces.push(bytes)
      await muster.job(job.id)
    }
    const all = Buffer.concat(pieces)
    expect(all.length).toBe(3_000_000)
    expect(all.every((byte, i) => byte === (i * 31) % 251)).toBe(true)
  })

  test('without following, what is there now', async () => {
    const job = await muster.submit(command({ run: 'echo now; sleep 60' }))
    for await (const { text } of job.logs()) {
      expect(text).toBe('now')
      break
    }
    expect((await lines(job, { follow: false })).map(({ text }) => text)).toEqual(['now'])
    await job.cancel()
    await job.ended()
  })
})

describe('a job that does not complete', () => {
  test('P8 result() says why, with its last lines', async () => {
    const job = await muster.submit(command({ run: 'echo working; echo boom >&2; exit 3' }))
    const error: unknown = await job.result().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(JobError)
    expect(error).toMatchObject({
      code: 'JOB_FAILED',
      name: 'JobError',
      retryable: false,
      details: {
        jobId: job.id,
        state: 'failed',
        reason: 'exit',
        exitCode: 3,
        attempt: 1,
        lastLines: ['working', 'boom'],
      },
      message: expect.stringMatching(
        /failed: the command exited with 3 .*its last lines:\n {2}working\n {2}boom$/s,
      ) as string,
    })
  })

  test('all attempts in order, a restart included', async () => {
    const job = await muster.submit(command({ run: 'echo "attempt $MUSTER_ATTEMPT"; exit 1' }))
    await expect(job.result()).rejects.toMatchObject({ code: 'JOB_FAILED' })
    await job.restart()
    await expect(job.result()).rejects.toMatchObject({ details: { attempt: 2 } })
    expect(await lines(job)).toEqual([
      { text: 'attempt 1', attempt: 1, offset: 0 },
      { text: 'attempt 2', attempt: 2, offset: 0 },
    ])
  })

  test('P5 cancelled, with who and why; the wait of others ends with it', async () => {
    const job = await muster.submit(command({ run: 'echo up; exec sleep 60' }))
    const waiting = job.result().catch((thrown: unknown) => thrown)
    for await (const { text } of job.logs()) if (text === 'up') break
    await job.cancel('no longer needed')
    expect(await job.ended()).toMatchObject({ state: 'cancelled' })
    expect(await waiting).toMatchObject({
      code: 'JOB_CANCELLED',
      message: expect.stringContaining('no longer needed') as string,
    })
  })

  test('aborting a wait never cancels the job', async () => {
    const job = await muster.submit(command({ run: 'echo up; sleep 0.5; echo done' }))
    const stop = new AbortController()
    const waits = [job.result({ signal: stop.signal }), job.artifacts(undefined, { signal: stop.signal })]
    for await (const line of job.logs()) if (line.text === 'up') break
    stop.abort()
    for (const wait of waits) await expect(wait).rejects.toMatchObject({ name: 'AbortError' })
    await expect(lines(job, { signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' })
    expect(await job.result()).toMatchObject({ exitCode: 0 })
  })

  test('a job that nobody has', async () => {
    await expect(muster.job('0192aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
  })
})
