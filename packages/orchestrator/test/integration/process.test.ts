/** What keeps a process alive, and what does not: each case is a process of its own, which ends by itself or is found waiting. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../../', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function node(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

function script(body: string): Promise<Ended> {
  return node('--input-type=module', '-e', `import { openOrchestrator } from '@muster/orchestrator'\n${body}`)
}

test('an idle orchestrator, with deliveries held, messages delayed and leases pending, keeps no process alive', async () => {
  const ended = await script(`
    const q = await openOrchestrator()
    await q.publish('q', 1)
    await q.publish('q', 2, { delayMs: 3_600_000 })
    await q.receiveMessage('q', { leaseMs: 3_600_000 })
    console.log('idle')`)
  expect(ended).toEqual({ code: 0, stdout: 'idle\n', stderr: '' })
})

test('a receive that waits keeps the process alive until it resolves', async () => {
  const ended = await script(`
    const q = await openOrchestrator()
    await q.publish('q', 'late', { delayMs: 300 })
    console.log((await q.receiveMessage('q', { waitMs: 20_000 })).body)
    console.log(await q.receiveMessage('q', { waitMs: 100 }))`)
  expect(ended).toEqual({ code: 0, stdout: 'late\nundefined\n', stderr: '' })
})

test('a consumer keeps the process alive until it is closed', async () => {
  const ended = await script(`
    const q = await openOrchestrator()
    const consumer = q.consume('q', ({ body }) => { console.log(body); consumer.close().then(() => console.log('closed')) })
    await q.publish('q', 'late', { delayMs: 300 })`)
  expect(ended).toEqual({ code: 0, stdout: 'late\nclosed\n', stderr: '' })
})

test('a consumer with keepAlive: false does not', async () => {
  const ended = await script(`
    const q = await openOrchestrator()
    q.consume('q', ({ body }) => console.log(body), { keepAlive: false })
    await q.publish('q', 'never', { delayMs: 3_600_000 })
    console.log('idle')`)
  expect(ended).toEqual({ code: 0, stdout: 'idle\n', stderr: '' })
})

test('an orchestrator that was closed in the middle of everything ends at once', async () => {
  const ended = await script(`
    const q = await openOrchestrator()
    await q.publishMany('q', Array.from({ length: 50 }, (_, body) => ({ body })))
    q.consume('q', () => undefined, { concurrency: 5 })
    const waiting = q.receiveMessage('empty', { waitMs: 60_000 })
    await q.close()
    console.log(await waiting)`)
  expect(ended).toEqual({ code: 0, stdout: 'undefined\n', stderr: '' })
})

test('the example runs, and the README shows it', async () => {
  const file = 'examples/orchestrator-alone.ts'
  const ended = await node('--import', 'tsx', file)
  expect(ended).toEqual({
    code: 0,
    stdout: "sent { to: 'alan' }\nsent { to: 'ada' }\nsent { to: 'grace' }\n",
    stderr: '',
  })
  const [, ...program] = (await readFile(`${root}${file}`, 'utf8')).split('\n')
  expect(await readFile(`${root}packages/orchestrator/README.md`, 'utf8')).toContain(program.join('\n').trim())
})
