/** What of a Redis backend keeps a process alive, and what does not: each case is a process of its own. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { systemIds } from '@muster/core'
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

let server: QueueServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.remove())

function program(body: string, url: string): string {
  return `import { openOrchestrator } from '@muster/orchestrator'
    const q = await openOrchestrator({ backend: '${url}', namespace: '${systemIds.token()}' })
    ${body}`
}

async function script(body: string): Promise<string> {
  const args = ['--input-type=module', '-e', program(body, server.url)]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
  return stdout + stderr
}

test('an idle orchestrator, with a delivery held and messages delayed, keeps no process alive', async () => {
  const said = await script(`
    await q.publish('q', 1)
    await q.publish('q', 2, { delayMs: 3_600_000 })
    await q.receiveMessage('q', { leaseMs: 3_600_000 })
    console.log('idle')`)
  expect(said).toBe('idle\n')
})

test('a receive that waits keeps the process alive until it resolves', async () => {
  const said = await script(`
    await q.publish('q', 'late', { delayMs: 300 })
    console.log((await q.receiveMessage('q', { waitMs: 20_000 })).body)
    console.log(await q.receiveMessage('q', { waitMs: 100 }))`)
  expect(said).toBe('late\nundefined\n')
})

test('a receive that ends with nothing keeps the process alive until it has said so', async () => {
  const said = await script(`
    for (let n = 0; n < 300; n++) await q.receiveMessage('q', { waitMs: 5 })
    console.log('done')`)
  expect(said).toBe('done\n')
})

test('a consumer with keepAlive: false does not, and one without does', async () => {
  expect(await script(`q.consume('q', () => undefined, { keepAlive: false })\nconsole.log('idle')`)).toBe('idle\n')
  const said = await script(`
    const consumer = q.consume('q', ({ body }) => { console.log(body); consumer.close().then(() => console.log('closed')) })
    await q.publish('q', 'late', { delayMs: 300 })`)
  expect(said).toBe('late\nclosed\n')
})

test('an orchestrator that was closed in the middle of everything ends at once', async () => {
  const said = await script(`
    await q.publishMany('q', Array.from({ length: 50 }, (_, body) => ({ body })))
    q.consume('q', () => undefined, { concurrency: 5 })
    const waiting = q.receiveMessage('empty', { waitMs: 60_000 })
    await q.close()
    console.log(await waiting)`)
  expect(said).toBe('undefined\n')
})

test('a closed orchestrator leaves nothing that the process would wait for', async () => {
  const said = await script(`
    await q.publish('q', 1)
    await q.receiveMessage('q')
    await q.close()
    await new Promise((resolve) => setTimeout(resolve, 200)) // its sockets are gone then
    console.log(process.getActiveResourcesInfo().filter((name) => /Timeout|TCP/.test(name)).join())`)
  expect(said).toBe('\n')
})

test('a server that went away is an error to who asks, and keeps no process alive', async () => {
  const other = await startRedis()
  onTestFinished(() => other.remove())
  const body = `
    await q.publish('q', 1)
    console.log('published')
    process.stdin.once('data', async () => {
      await q.countQueueMessages('q').catch(({ code }) => console.log(code))
      process.stdin.destroy()
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(body, other.url)], { timeout: 30_000 })
  let said = ''
  child.stdout.on('data', (chunk) => (said += String(chunk)))
  child.stderr.on('data', (chunk) => (said += String(chunk)))
  await expect.poll(() => said, { timeout: 20_000 }).toBe('published\n')
  await other.kill()
  child.stdin.write('now\n')
  expect(await once(child, 'close')).toEqual([0, null])
  expect(said).toBe('published\nBACKEND_UNAVAILABLE\n')
})
