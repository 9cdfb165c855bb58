/** The commands as a person or a script uses them, on a record of its own, with jobs that really run. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Sandbox, type Running } from './cli.js'

let box: Sandbox

beforeEach(async () => {
  box = await Sandbox.open()
})
afterEach(() => box.close())

function json(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function said(running: Running, text: string | RegExp): Promise<void> {
  await vi.waitFor(() => expect(running.stdout + running.stderr).toMatch(text), { timeout: 20_000, interval: 20 })
}

describe('run', () => {
  test('a commit: its lines on standard output, its artifacts here, its code', async () => {
    await box.repository({ 'job.sh': 'echo "$1 $GREETING"; pwd >&2; mkdir out; echo kept >out/result.txt; exit 7' })
    await writeFile(join(box.project, 'uncommitted'), '')
    const args = [
      'run',
      '--ref',
      'main',
      '--artifact',
      'out/**',
      '--env',
      'GREETING=world',
      '--',
      'sh',
      'job.sh',
      'hello',
    ]
    const { code, stdout, stderr } = await box.muster(...args)
    expect(code).toBe(7)
    expect(stdout.split('\n')[0]).toBe('hello world')
    expect(stderr).toMatch(/1 untracked file in \. not committed/)
    expect(stderr).toContain('failed: exit 7')
    const artifact = /artifact (\S+)/.exec(stderr)?.[1] ?? ''
    expect(await readFile(artifact, 'utf8')).toBe('kept\n')
  })

  test('128 + n for a signal; a command that does not exist says so', async () => {
    expect((await box.muster('run', '--no-repo', '--', 'sh', '-c', 'kill -KILL $$')).code).toBe(137)
    const missing = await box.muster('run', '--no-repo', '--', 'no-such-command')
    expect(missing.code).toBe(127)
    expect(missing.stderr).toMatch(/not found.*no-such-command|no-such-command.*not found/)
  })

  test('--json: one object a line; --raw: the bytes; else no control sequence but none at all on a pipe', async () => {
    const script = `printf '\\033[31mred\\033[0m \\033]0;title\\007plain\\n'`
    const command = ['--no-repo', '--', 'sh', '-c', script]
    expect((await box.muster('run', ...command)).stdout).toBe('red plain\n')
    expect((await box.muster('run', '--raw', ...command)).stdout).toBe(
      '\u001b[31mred\u001b[0m \u001b]0;title\u0007plain\n',
    )
    const objects = json((await box.muster('run', '--json', ...command)).stdout)
    expect(objects.filter(({ type }) => type === 'line')).toMatchObject([{ attempt: 1, offset: 0 }])
    const job = objects.at(-1)
    expect(job).toMatchObject({
      type: 'job',
      state: 'completed',
      reason: null,
      attempt: 1,
      machine: 'local',
      exitCode: 0,
    })
    expect(job).toHaveProperty('conditions', {})
    expect(job).toHaveProperty('id')
  })

  test('--json: how it ended is the last object, behind the last of many lines, and said once', async () => {
    const objects = json((await box.muster('run', '--json', '--no-repo', '--', 'seq', '20000')).stdout)
    expect(objects.at(-1)).toMatchObject({ type: 'job', state: 'completed', exitCode: 0 })
    expect(objects.filter(({ state }) => state === 'completed')).toHaveLength(1)
    expect(objects.filter(({ type }) => type === 'line')).toHaveLength(20_000)
  })

  test('secrets by reference reach the job and nothing else', async () => {
    box.env['MY_TOKEN'] = 'planted-7f3a'
    const { code, stdout, stderr } = await box.muster(
      ...[
        'run',
        '--no-repo',
        '--secret',
        'TOKEN=MY_TOKEN',
        '--',
        'sh',
        '-c',
        'test "$TOKEN" = planted-7f3a && echo same',
      ],
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'same\n' })
    expect(stderr).not.toContain('planted-7f3a')
    expect((await box.muster('ps', '--all', '--json')).stdout).not.toContain('planted-7f3a')
  })

  test('Ctrl-C leaves the job running and says how to come back', async () => {
    const running = box.start('run', '--no-repo', '--', 'sh', '-c', 'echo up; sleep 8; echo done')
    await said(running, /^up$/m)
    running.child.kill('SIGINT')
    const { code, stderr } = await running.ended
    expect(code).toBe(130)
    const id = /muster logs -f (\S+)/.exec(stderr)?.[1] ?? ''
    const back = await box.muster('logs', '-f', id)
    expect(back.stdout).toBe('up\ndone\n')
    expect(json((await box.muster('show', '--wait', '--json', id)).stdout)).toMatchObject([{ state: 'completed' }])
  })

  test('P5 a job that was left behind is cancelled by a command alone, which waits until nothing is left', async () => {
    const running = box.start('run', '--no-repo', '--', 'sh', '-c', 'echo "pid $$"; exec sleep 600')
    await said(running, /pid \d+/)
    const pid = Number(/pid (\d+)/.exec(running.stdout)?.[1])
    running.child.kill('SIGTERM')
    await running.ended
    expect(process.kill(pid, 0)).toBe(true)
    const follower = box.start('logs', '-f', /job (\S+)/.exec(running.stderr)?.[1] ?? '')
    await said(follower, `pid ${pid}`)
    follower.child.kill('SIGINT')
    await follower.ended
    const id = json((await box.muster('ps', '--json')).stdout)[0]?.['id'] as string
    const cancelled = await box.muster('cancel', '--json', '--reason', 'enough', id)
    expect(json(cancelled.stdout)).toMatchObject([{ id, state: 'cancelled' }])
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/)
    expect((await box.muster('show', id)).stdout).toContain('enough')
  })

  test('P5 the second Ctrl-C cancels and waits until nothing is left', async () => {
    const running = box.start('run', '--no-repo', '--', 'sh', '-c', 'echo "pid $$"; exec sleep 600')
    await said(running, /pid \d+/)
    const pid = Number(/pid (\d+)/.exec(running.stdout)?.[1])
    running.child.kill('SIGINT')
    await said(running, /Ctrl-C again cancels/)
    running.child.kill('SIGINT')
    const { code, stderr } = await running.ended
    expect(stderr).toMatch(/cancelling, and waiting/)
    expect(stderr).toMatch(/cancelled/)
    expect(code).toBeGreaterThanOrEqual(130)
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/)
  })
})

describe('submit and what follows', () => {
  test('prints the id alone; up runs it; the others tell about it', async () => {
    const { stdout, stderr } = await box.muster('submit', '--no-repo', '--label', 'kind=test', '--', 'echo', 'ran')
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/)
    expect(stderr).toContain('[NOBODY_SCHEDULES]')
    const id = stdout.trim()
    expect((await box.muster('ps')).stdout).toMatch(new RegExp(`${id}  queued .*nobody schedules`))
    expect((await box.muster('explain', id)).stdout).toMatch(/queued: .*nobody schedules/)

    const up = box.start('up')
    await said(up, `${id} log and artifacts collected`)
    expect((await box.muster('logs', id)).stdout).toBe('ran\n')
    const shown = (await box.muster('show', id.slice(0, 13))).stdout
    expect(shown).toMatch(/state +completed/)
    expect(shown).toMatch(/labels +kind=test/)
    const log = /^log +(\S+)$/m.exec(shown)?.[1] ?? ''
    expect(await readFile(log, 'utf8')).toBe('ran\n')
    expect((await box.muster('machines')).stdout).toMatch(/^local +ready/m)

    const restarted = await box.muster('restart', id)
    expect(restarted).toMatchObject({ code: 0, stdout: '' })
    await said(up, /attempt 2 completed/)
    up.child.kill('SIGTERM')
    const { code, stderr: last } = await up.ended
    expect(code).toBe(0)
    expect(last).toMatch(/draining/)
    expect(last).toMatch(/running jobs go on/)
  })

  test('the same key and request give the same job', async () => {
    const args = ['submit', '--no-repo', '--key', 'k1', '--', 'true']
    const first = await box.muster(...args)
    const second = await box.muster(...args)
    expect(second.stdout).toBe(first.stdout)
    const other = await box.muster('submit', '--no-repo', '--key', 'k1', '--', 'false')
    expect(other.stderr).toContain('[KEY_CONFLICT]')
  })

  test('cancel takes several, reports each, and says what it could not', async () => {
    const ids: string[] = []
    for (const word of ['one', 'two'])
      ids.push((await box.muster('submit', '--no-repo', '--', 'echo', word)).stdout.trim())
    const unknown = '0192aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa'
    const { code, stdout, stderr } = await box.muster('cancel', '--json', ...ids, unknown)
    expect(code).toBe(1)
    expect(json(stdout).map(({ id, state }) => ({ id, state }))).toEqual(ids.map((id) => ({ id, state: 'cancelled' })))
    expect(stderr).toContain('JOB_NOT_FOUND')
    expect((await box.muster('ps', '--json')).stdout).toBe('')
    expect(json((await box.muster('ps', '--state', 'cancelled', '--json')).stdout)).toHaveLength(2)
  })
})
