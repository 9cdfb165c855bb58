/** What the settings of a queue's server put at risk: who is told of it, and who is not. */
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { Sandbox } from './cli.js'

let redis: QueueServer
let box: Sandbox

beforeAll(async () => {
  redis = await startRedis()
}, 180_000)
afterAll(() => redis.remove())
beforeEach(async () => {
  box = await Sandbox.open()
})
afterEach(() => box.close())

test('what a server puts at risk is said where one looks at queues, and not by every command that reaches it', async () => {
  box.env['MUSTER_BACKEND'] = redis.url
  const risk = '(appendonly no)'
  const quiet = [['submit', '--no-repo', '--', 'true'], ['ps'], ['queue', 'pause', 'q'], ['queue', 'resume', 'q']]
  for (const { code, stderr } of await Promise.all(quiet.map((args) => box.muster(...args)))) {
    expect(code, stderr).toBe(0)
    expect(stderr).not.toContain(risk)
  }
  const looks = [
    ['queue', 'ls'],
    ['queue', 'stats', 'q'],
  ]
  for (const { stderr } of await Promise.all(looks.map((args) => box.muster(...args)))) expect(stderr).toContain(risk)
  const up = box.start('up')
  await vi.waitFor(() => expect(up.stderr).toContain('scheduling;'), { timeout: 30_000 })
  expect(up.stderr.split(risk)).toHaveLength(2)
  up.child.kill('SIGINT')
  await up.ended
}, 120_000)
