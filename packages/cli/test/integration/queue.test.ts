/**
 * `muster queue` as an operator uses it, on real servers: what is there is shown, what deletes asks first, what a backend cannot do is
 * said, and on the local backend an empty list is never given for one that could not be seen. Commands that change nothing are run side
 * by side: each is the start of a process.
 */
import { open, type Muster, type Orchestrator } from '@muster/sdk'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { Sandbox } from './cli.js'

let redis: QueueServer
let rabbit: Awaited<ReturnType<typeof startRabbit>>
let box: Sandbox
const opened: Muster[] = []

beforeAll(async () => {
  ;[redis, rabbit] = await Promise.all([startRedis(), startRabbit()])
}, 180_000)
afterAll(async () => {
  await Promise.all([redis.remove(), rabbit.remove()])
})
beforeEach(async () => {
  box = await Sandbox.open()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  await box.close()
})

/** A database of Redis for one test. */
let databases = 0
const freshRedis = (): string => `${redis.url}/${databases++}`

/** The queues of another program, which has a record of its own. */
async function orchestrator(url: string): Promise<Orchestrator> {
  const store = `sqlite:${join(box.root, `other-${opened.length}.db`)}`
  const other = await open({ backend: url, schedule: false, store, cwd: box.root })
  opened.push(other)
  return other.orchestrator
}

/** The lines that a command printed with `--json`. */
async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await box.muster('queue', ...args, '--json')
  expect(code, stderr).toBe(0)
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
}

/** Publishes what becomes `n` dead letters. */
async function bury(q: Orchestrator, queue: string, n: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < n; i++) {
    const { id } = await q.publish(queue, { i, note: 'letter\u001b[2J' })
    const delivery = await q.receiveMessage(queue, { waitMs: 5_000 })
    await delivery?.dead(`no use ${i}`)
    ids.push(id)
  }
  return ids
}

const backends = [
  ['redis', () => Promise.resolve(freshRedis())],
  ['rabbitmq', () => rabbit.vhost()],
] as const

describe.each(backends)('on %s', (name, fresh) => {
  let q: Orchestrator
  beforeEach(async () => {
    const url = await fresh()
    box.env['MUSTER_BACKEND'] = url
    q = await orchestrator(url)
  })

  test('ls and stats show what is where, also what is paused', async () => {
    await q.publishMany('mails', [{ body: 1 }, { body: 2 }, { body: 3 }])
    const held = await q.receiveMessage('mails', { waitMs: 5_000 })
    expect(held).toBeDefined()
    await q.pause('mails')
    const [table, lines, stats, unknown] = await Promise.all([
      box.muster('queue', 'ls'),
      json('ls'),
      box.muster('queue', 'stats', 'mails'),
      box.muster('queue', 'stats', 'mial'),
    ])
    expect(table.stdout).toMatch(/^QUEUE +READY +DELAYED +LEASED +DEAD +OLDEST +JOBS +STATE$/m)
    expect(table.stdout).toMatch(/^mails +2 .*messages paused$/m)
    const leased = name === 'redis' ? 1 : null
    expect(lines.find((line) => line['name'] === 'mails')).toMatchObject({
      type: 'queue',
      messages: { ready: 2, leased, dead: 0, paused: true },
      jobs: null,
    })
    expect(stats.stdout).toMatch(/^mails\n {2}state {4}messages paused\n {2}ready {4}2/)
    if (name === 'rabbitmq') expect(stats.stdout).toContain('this backend cannot know')
    expect(unknown.stderr).toContain('holds no queue "mial"')
  })

  test('pause holds back messages and placements; resume lets both go on', async () => {
    await q.publish('jobs.command', 'look')
    expect((await json('pause', 'jobs.command'))[0]).toMatchObject({ type: 'paused', changed: true, hasMessages: true })
    expect(await q.countQueueMessages('jobs.command')).toMatchObject({ paused: true })
    expect((await box.muster('queue', 'pause', 'jobs.command')).stderr).toContain('is paused already')
    const submitted = await box.muster('submit', '--no-repo', '--', 'true')
    expect(submitted.code).toBe(0)
    expect((await box.muster('queue', 'ls')).stdout).toMatch(
      /^jobs\.command .* 1 waiting +messages paused; jobs paused by .* ago$/m,
    )
    const run = box.start('run', '--no-repo', '--', 'echo', 'at last')
    await vi.waitFor(() => expect(run.stderr).toMatch(/paused/), { timeout: 20_000, interval: 50 })
    const resumed = await box.muster('queue', 'resume', 'jobs.command')
    expect(resumed).toMatchObject({ code: 0 })
    expect(await run.ended).toMatchObject({ code: 0, stdout: 'at last\n' })
    expect(await q.countQueueMessages('jobs.command')).toMatchObject({ paused: false })
  }, 60_000)

  test('dead letters are listed, shown and put back in line; many only after a question', async () => {
    const ids = await bury(q, 'mails', 3)
    // One after the other: on RabbitMQ whoever lists letters holds them meanwhile, and others do not see them.
    const listed = await box.muster('queue', 'dead', 'mails', '--limit', '2')
    const lines = await json('dead', 'mails')
    const one = await box.muster('queue', 'dead', 'mails', '--id', ids[2] ?? '')
    const missing = await box.muster('queue', 'dead', 'mails', '--id', 'nope')
    expect(listed.stdout).toMatch(/^ID +DIED +REASON +TRIES +CRASHES +DETAIL +BODY$/m)
    expect(listed.stdout).toMatch(new RegExp(`^${ids[0]} +\\S+ ago +rejected +0 +0 +no use 0 +\\{"i":0`, 'm'))
    expect(listed.stdout).not.toContain('\u001b')
    expect(listed.stdout.trim().split('\n')).toHaveLength(3)
    expect(listed.stderr).toContain('the oldest 2 of 3 are shown')
    expect(lines.map(({ id }) => id)).toEqual(ids)
    expect(lines[1]).toMatchObject({
      type: 'dead',
      queue: 'mails',
      reason: 'rejected',
      detail: 'no use 1',
      body: { i: 1 },
    })
    expect(one.stdout).toMatch(/reason +rejected: no use 2/)
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('[INVALID_ARGUMENT]') as string })

    const [asked, dry] = await Promise.all([
      box.muster('queue', 'redrive', 'mails'),
      json('redrive', 'mails', '--dry-run'),
    ])
    expect(asked).toMatchObject({ code: 1, stderr: expect.stringContaining('--yes') as string })
    expect(dry).toMatchObject([{ redriven: 0, wouldRedrive: 3, dryRun: true }])
    expect(await q.countQueueMessages('mails')).toMatchObject({ ready: 0, dead: 3 })
    expect(await json('redrive', 'mails', '--limit', '1')).toMatchObject([{ type: 'redriven', redriven: 1 }])
    expect((await box.muster('queue', 'redrive', 'mails', '--yes')).stderr).toContain(
      '2 dead letters of mails are back',
    )
    expect(await q.countQueueMessages('mails')).toMatchObject({ ready: 3, dead: 0 })
  }, 60_000)

  test('clean removes what it says, after a question, and never what is held', async () => {
    await q.publishMany('mails', [{ body: 1 }, { body: 2 }, { body: 3 }])
    await q.receiveMessage('mails', { waitMs: 5_000 })
    await bury(q, 'other', 2)
    const [asked, dry] = await Promise.all([
      box.muster('queue', 'clean', 'mails'),
      box.muster('queue', 'clean', 'mails', '--dry-run'),
    ])
    expect(asked).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/remove 2 waiting messages of mails for good, and nobody is there/) as string,
    })
    expect(dry.stderr).toContain('would remove 2 waiting messages')
    expect(await q.countQueueMessages('mails')).toMatchObject({ ready: 2 })
    expect(await json('clean', 'mails', '--limit', '1', '--yes')).toMatchObject([{ type: 'cleaned', removed: 1 }])
    expect(await json('clean', 'mails', '--yes')).toMatchObject([{ removed: 1 }])
    expect(await json('clean', 'mails', '--yes')).toMatchObject([{ removed: 0 }])
    expect(await json('clean', 'other', '--state', 'dead', '--yes')).toMatchObject([{ state: 'dead', removed: 2 }])
  }, 60_000)
})

test('at a terminal it asks, and takes only a yes for one', async () => {
  const url = (box.env['MUSTER_BACKEND'] = freshRedis())
  const q = await orchestrator(url)
  await q.publishMany('mails', [{ body: 1 }, { body: 2 }])
  for (const [answer, left] of [
    ['', 2],
    ['n', 2],
    ['y', 0],
  ] as const) {
    const asking = box.onTerminal('queue', 'clean', 'mails')
    await vi.waitFor(() => expect(asking.stdout).toMatch(/remove 2 waiting messages of mails for good\? \[y\/N\]/), {
      timeout: 20_000,
    })
    asking.child.stdin?.end(`${answer}\n`)
    expect((await asking.ended).stdout).toMatch(
      left === 0 ? /2 waiting messages of mails were removed/ : /nothing was changed/,
    )
    expect((await q.countQueueMessages('mails')).ready).toBe(left)
  }
}, 60_000)

describe('capabilities', () => {
  test('redis selects by id, state and age', async () => {
    const url = (box.env['MUSTER_BACKEND'] = freshRedis())
    const q = await orchestrator(url)
    const [first = '', second = ''] = await bury(q, 'mails', 3)
    expect(await json('redrive', 'mails', '--id', second)).toMatchObject([{ redriven: 1 }])
    expect(await json('clean', 'mails', '--state', 'dead', '--id', first, '--yes')).toMatchObject([{ removed: 1 }])
    expect(await json('clean', 'mails', '--state', 'dead', '--older-than', '1h', '--yes')).toMatchObject([
      { removed: 0 },
    ])
    expect(await json('clean', 'mails', '--state', 'ready', '--yes')).toMatchObject([{ removed: 1 }])
  }, 60_000)

  test('what RabbitMQ cannot do is refused by name, before anybody is asked', async () => {
    box.env['MUSTER_BACKEND'] = await rabbit.vhost()
    const refused = [
      ['clean', 'mails', '--id', 'x', '--yes'],
      ['clean', 'mails', '--older-than', '1h'],
      ['clean', 'mails', '--state', 'delayed', '--dry-run'],
      ['redrive', 'mails', '--id', 'x'],
    ]
    for (const { code, stderr } of await Promise.all(refused.map((args) => box.muster('queue', ...args)))) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/the rabbitmq backend does not offer --.*\[UNSUPPORTED_BY_BACKEND\]/)
    }
  }, 60_000)
})

describe('on the local backend', () => {
  test('what cannot be seen is never shown as empty', async () => {
    const listed = await box.muster('queue', 'ls')
    expect(listed).toMatchObject({ code: 0, stdout: '' })
    expect(listed.stderr).toContain('the local backend keeps messages within the process that uses them')
    const refused = [
      ['stats', 'mails'],
      ['dead', 'mails'],
      ['redrive', 'mails'],
      ['clean', 'mails', '--yes'],
    ]
    for (const { code, stdout, stderr } of await Promise.all(refused.map((args) => box.muster('queue', ...args)))) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/\[UNSUPPORTED_BY_BACKEND\]\nhint: Choose a backend that is a server/)
    }
  }, 60_000)

  test('queues of jobs are the record’s, and are held and seen all the same', async () => {
    expect(await box.muster('queue', 'pause', 'jobs.command')).toMatchObject({ code: 0 })
    await box.muster('submit', '--no-repo', '--', 'true')
    expect((await json('ls'))[0]).toMatchObject({
      name: 'jobs.command',
      messages: null,
      jobs: { waiting: 1, running: 0, paused: { by: expect.any(String) as string } },
    })
    expect((await box.muster('queue', 'stats', 'jobs.command')).stdout).toMatch(
      /state +jobs paused by .*\n +jobs +1 waiting/,
    )
    expect((await json('resume', 'jobs.command'))[0]).toMatchObject({ type: 'resumed', changed: true })
    expect((await box.muster('queue', 'resume', 'jobs.command')).stderr).toContain('its jobs were not paused')
  })
})

test('a server that is down: queues of jobs are listed all the same, the rest is a typed error, and no password is shown', async () => {
  box.env['MUSTER_BACKEND'] = 'redis://ada:hunter2@127.0.0.1:1'
  await box.muster('submit', '--no-repo', '--', 'true')
  const [listed, dead] = await Promise.all([box.muster('queue', 'ls'), box.muster('queue', 'dead', 'mails')])
  expect(listed.code).toBe(1)
  expect(listed.stdout).toMatch(/^jobs\.command .* 1 waiting/m)
  expect(listed.stderr).toContain('[BACKEND_UNAVAILABLE]')
  expect(listed.stderr).not.toContain('hunter2')
  expect(dead).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('[BACKEND_UNAVAILABLE]') as string,
  })
}, 60_000)

test('the object form in muster.yaml with a password in a file reaches a server that wants one', async () => {
  const guarded = await startRedis({ config: ['requirepass open-sesame'] })
  try {
    await writeFile(join(box.project, 'password'), 'open-sesame\n', { mode: 0o600 })
    const says = (file: string): Promise<void> =>
      writeFile(join(box.project, 'muster.yaml'), `backend: { url: ${guarded.url}, passwordFile: ${file} }\n`)
    await says('password')
    expect(await box.muster('queue', 'ls')).toMatchObject({ code: 0 })
    await writeFile(join(box.project, 'wrong'), 'wrong-sesame\n', { mode: 0o600 })
    await says('wrong')
    const { code, stderr } = await box.muster('queue', 'ls')
    expect(code).toBe(1)
    expect(stderr).toMatch(/\[CONFIG_INVALID\]/)
    expect(stderr).not.toContain('sesame')
  } finally {
    await guarded.remove()
  }
}, 60_000)

test('wrong usage is exit code 2', async () => {
  const wrong = [['stats'], ['clean', 'q', '--state', 'leased'], ['dead', 'q', '--limit', '0'], ['redive', 'q']]
  const outcomes = await Promise.all(wrong.map((args) => box.muster('queue', ...args)))
  expect(outcomes.map(({ code }) => code)).toEqual(wrong.map(() => 2))
})
