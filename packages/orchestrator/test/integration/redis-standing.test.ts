/**
 * The receive that stands at the server for one who waits: it takes a message in the moment in which that is published, and what becomes of
 * it where the one who waits has gone, is frozen, or is cut off.
 */
import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemIds } from '@muster/core'
import { tcpProxy } from '@muster/testing'
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { acks, message, openRedis, take, texts } from './redis-kit.js'

let server: QueueServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.remove())

const PATIENT = { timeout: 20_000, interval: 20 }
const cli = async (...args: string[]): Promise<string> => (await server.exec(`redis-cli ${args.join(' ')}`)).stdout
/** Resolves when so many receives stand at the server. */
const standing = (count: number): Promise<void> =>
  vi.waitFor(async () => expect((await cli('CLIENT', 'LIST')).split('cmd=blpop')).toHaveLength(count + 1), PATIENT)

test('a message is with a process that waits as soon as it is published, one at most; should it be frozen, no handler begins after the lease', async () => {
  const namespace = `test-${systemIds.next()}`
  const backend = await openRedis(server.url, { namespace })
  const program = `import { openOrchestrator } from '@muster/orchestrator'
    const q = await openOrchestrator({ backend: '${server.url}', namespace: '${namespace}' })
    q.consume('q', ({ body, crashes }) => console.log(body, crashes), { leaseMs: 1_000, concurrency: 5 })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program])
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (text: Buffer) => (said += text.toString()))
  await standing(1)
  child.kill('SIGSTOP')
  const stopped = performance.now()
  const bodies = ['"one"', '"two"', '"three"']
  await backend.publish(
    'q',
    bodies.map((body) => message(body)),
  )
  // It was taken although the process that waits could say nothing. What stands looks once a second, too: it may have looked before.
  const { ready, leased } = await backend.counts('q')
  if (performance.now() - stopped < 500) expect({ ready, leased }).toEqual({ ready: 2, leased: 1 })
  const rest = await take(backend, 'q')
  expect(texts(rest).sort()).toEqual(['"three"', '"two"'])
  const again = await take(backend, 'q', { waitMs: 20_000 })
  expect(again.map(({ crashes }) => crashes)).toEqual([1])
  expect(await backend.settle(acks([...rest, ...again]))).toEqual(['settled', 'settled', 'settled'])
  child.kill('SIGCONT')
  await backend.publish('q', [message('"after"')])
  await vi.waitFor(() => expect(said).toBe('after 0\n'), PATIENT)
})

test('one who stops waiting takes nothing along and leaves nothing behind, and the next is heard at once', async () => {
  const namespace = `test-${systemIds.next()}`
  const backend = await openRedis(server.url, { namespace })
  const abort = new AbortController()
  const [waiting, next] = [
    take(backend, 'q', { waitMs: 60_000, signal: abort.signal }),
    take(backend, 'q', { waitMs: 60_000 }),
  ]
  await standing(1)
  const keys = (): Promise<string> => cli('KEYS', `'*{${namespace}/q}:once:*stand'`)
  abort.abort()
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  await backend.publish('q', [message('for the next')])
  expect(texts(await next)).toEqual(['for the next'])
  await vi.waitFor(async () => expect((await keys()).trim()).toBe(''), PATIENT)
  const over = await take(backend, 'q', { waitMs: 300 })
  expect(over).toEqual([])
  await backend.publish('q', [message('later')])
  const [late] = await take(backend, 'q')
  expect(late).toMatchObject({ crashes: 0, tries: 0 })
})

test('a connection that dies without a word takes its message along only until that is noticed', async () => {
  const proxy = await tcpProxy(server)
  onTestFinished(() => proxy.close())
  const namespace = `test-${systemIds.next()}`
  const direct = await openRedis(server.url, { namespace })
  const waits = await openRedis(`redis://${proxy.host}:${proxy.port}`, { namespace })
  const waiting = take(waits, 'q', { waitMs: 60_000, leaseMs: 3_600_000 })
  await standing(1)
  proxy.strand()
  await direct.publish('q', [message('taken unheard')])
  const [got] = await waiting
  expect(got).toMatchObject({ crashes: 0, tries: 0 })
  expect(await waits.settle(acks(got ? [got] : []))).toEqual(['settled'])
})

test('a lease begins when the message is taken, not when the receive began to stand', async () => {
  const backend = await openRedis(server.url)
  const leaseMs = 60_000
  const waiting = take(backend, 'q', { waitMs: 30_000, leaseMs })
  await standing(1)
  await sleep(400) // so that the two differ
  const published = performance.now()
  await backend.publish('q', [message('now')])
  const [got] = await waiting
  expect(got?.leaseUntil).toBeGreaterThan(published + leaseMs - 300) // less what the question took to arrive
  expect(got?.leaseUntil).toBeLessThanOrEqual(performance.now() + leaseMs)
})

test('what falls due while one waits comes in time, also to the second in the row', async () => {
  const backend = await openRedis(server.url)
  const waiting = [take(backend, 'q', { waitMs: 30_000, max: 1 }), take(backend, 'q', { waitMs: 30_000, max: 1 })]
  await standing(1)
  await backend.publish('q', [message('first', { delayMs: 200 }), message('second', { delayMs: 400 })])
  expect(texts((await Promise.all(waiting)).flat()).sort()).toEqual(['first', 'second'])
})

test('what falls due while the connection on which one waits is being made is looked for at once: nothing stands yet that could hear of it', async () => {
  const proxy = await tcpProxy(server)
  onTestFinished(() => proxy.close())
  const namespace = `test-${systemIds.next()}`
  const direct = await openRedis(server.url, { namespace })
  const waits = await openRedis(`redis://${proxy.host}:${proxy.port}`, { namespace })
  await take(waits, 'q') // it knows the script
  await cli('CONFIG', 'RESETSTAT')
  // On a way of 200 ms the first look finds nothing and is heard after 400; it falls due 200 ms later, when the greeting takes 400 more.
  proxy.delay(200)
  await direct.publish('q', [message('due', { delayMs: 400 })])
  expect(texts(await take(waits, 'q', { waitMs: 30_000 }))).toEqual(['due'])
  expect(await cli('INFO', 'commandstats')).not.toContain('cmdstat_blpop')
})
