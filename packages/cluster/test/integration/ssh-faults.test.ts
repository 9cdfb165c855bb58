/**
 * A living connection that is cut, goes silent, is slow or lame, and machines with few sessions: what runs on it ends with a typed
 * error or waits, never with a wrong answer, and nothing is left of it here or there.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { getActiveResourcesInfo } from 'node:process'
import { sshTransport, type SshOptions } from '@muster/cluster'
import { silentLogger, systemClock } from '@muster/core'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { movedClock } from './moved-clock.js'
import { openDoor, optionsOfDoor, refusalOf, transportTo } from './ssh-lab.js'
import { optionsOf } from './ssh-way.js'

let machine: SshMachine

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())

/** The machine behind a network of one's own. */
async function behindProxy(): Promise<{ proxy: TcpProxy; options: SshOptions }> {
  const proxy = await tcpProxy({ host: machine.host, port: machine.port })
  onTestFinished(() => proxy.close())
  const destination = `${machine.user}@${proxy.host}:${proxy.port}`
  return { proxy, options: optionsOf(machine, { destination, fingerprint: machine.fingerprint }) }
}

async function processes(pattern: string): Promise<number> {
  const { stdout } = await machine.exec(`grep -lsaE '${pattern}' /proc/[0-9]*/cmdline | wc -l`)
  return Number(stdout)
}

/** Settles when the stream does, with how. */
async function endOf(stream: NodeJS.ReadableStream): Promise<unknown> {
  return new Promise((resolve) => {
    stream.once('error', resolve).once('end', () => resolve('it ended'))
    stream.resume()
  })
}

test('a cut is a typed error for all that was under way, never an end, and the next call finds a new connection', async () => {
  const { proxy, options } = await behindProxy()
  const transport = transportTo(options)
  const stream = await transport.open({ command: 'echo begun; cat' })
  await once(stream, 'data')
  const ended = endOf(stream)
  const running = refusalOf(transport.run('sleep 601'))
  await expect.poll(() => processes('sleep.60[1]')).toBe(1)
  proxy.cut()
  expect(await running).toMatchObject({ code: 'TRANSPORT_LOST', retryable: true })
  expect(await ended).toMatchObject({ code: 'TRANSPORT_LOST' })
  expect((await transport.run('echo back')).stdout.toString()).toBe('back\n')
})

test('a connection that is silent is given up within 45 s, half open as it is', async () => {
  const { proxy, options } = await behindProxy()
  const { clock, until } = movedClock()
  const transport = transportTo(options, { clock })
  const stream = await transport.open({ command: 'echo begun; cat' })
  await once(stream, 'data')
  const ended = endOf(stream)
  const running = refusalOf(transport.run('cat >/dev/null; sleep 602'))
  // A connection on which nothing is to be said lives as long as somebody answers.
  await until(systemClock.sleep(3_000))
  expect(proxy.accepted).toBe(1)
  proxy.blackHole(true)
  const silence = await until(running)
  expect(silence).toBeGreaterThan(20_000)
  expect(silence).toBeLessThanOrEqual(45_000)
  expect(await running).toMatchObject({ code: 'TRANSPORT_LOST' })
  expect(await ended).toMatchObject({ code: 'TRANSPORT_LOST' })
  proxy.blackHole(false)
  expect((await transport.run('echo back')).stdout.toString()).toBe('back\n')
})

test('a slow line and a narrow one bring the bytes unharmed', async () => {
  const { proxy, options } = await behindProxy()
  const transport = transportTo(options)
  const bytes = randomBytes(5 * 2 ** 20)
  const back = async (): Promise<Buffer> => {
    const parts: Buffer[] = []
    for await (const part of transport.get('/tmp/muster-test-bytes')) parts.push(part)
    return Buffer.concat(parts)
  }
  await transport.run('true')
  proxy.delay(200)
  await transport.put('/tmp/muster-test-bytes', bytes)
  expect((await back()).equals(bytes)).toBe(true)
  proxy.delay(0)
  // Ten seconds are enough to outlast every watch on a clock that runs so much faster.
  proxy.throttle(8 * 65_536)
  const { clock, until } = movedClock()
  const fast = transportTo(options, { clock })
  const put = fast.put('/tmp/muster-test-bytes', bytes)
  await until(put)
  await put
  proxy.throttle(Infinity)
  expect((await back()).equals(bytes)).toBe(true)
  expect(proxy.accepted).toBe(2)
})

test('a hundred cuts leave no socket, timer, listener or process, here or there', async () => {
  const { proxy, options } = await behindProxy()
  const warnings: string[] = []
  const onWarning = (warning: Error): number => warnings.push(warning.message)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  const { clock, timers } = movedClock()
  const transport = sshTransport(options, { clock, logger: silentLogger })
  await transport.run('true')
  const here = getActiveResourcesInfo().length
  const timersHere = timers()
  for (let n = 0; n < 100; n += 1) {
    const stream = await transport.open({ command: 'cat' })
    const ended = endOf(stream)
    const running = refusalOf(transport.run('read -r line </dev/zero'))
    proxy.cut()
    await Promise.all([ended, running])
  }
  await transport.run('true')
  expect(timers()).toBeLessThanOrEqual(timersHere)
  await expect.poll(() => getActiveResourcesInfo().length).toBeLessThanOrEqual(here)
  await transport.close()
  await expect.poll(() => processes(`^sshd: ${machine.user}`), { timeout: 10_000 }).toBe(0)
  expect(timers()).toBe(0)
  expect(warnings).toEqual([])
}, 120_000)

test('bytes stay whole while the connection changes its keys again and again', async () => {
  const door = await openDoor(machine, ['RekeyLimit 1M'])
  const transport = transportTo(optionsOfDoor(machine, door, { fingerprint: machine.fingerprint }))
  const bytes = randomBytes(12 * 2 ** 20)
  await Promise.all([
    transport.put('/tmp/muster-test-rekeyed', bytes),
    ...Array.from({ length: 200 }, async (_, n) => {
      expect((await transport.run(`echo ${n}`)).stdout.toString()).toBe(`${n}\n`)
    }),
  ])
  const parts: Buffer[] = []
  for await (const part of transport.get('/tmp/muster-test-rekeyed')) parts.push(part)
  expect(Buffer.concat(parts).equals(bytes)).toBe(true)
  expect((await door.log()).match(/SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(10)
})

test.each([10, 2, 1])(
  'a thousand scripts and twenty followers, MaxSessions %d: no script hears of it',
  async (sessions) => {
    const door = await openDoor(machine, [`MaxSessions ${sessions}`, 'MaxStartups 100'])
    const transport = transportTo(optionsOfDoor(machine, door, { fingerprint: machine.fingerprint }))
    const followers = Promise.allSettled(
      Array.from({ length: 20 }, async () => {
        const stream = await transport.open({ command: 'echo here; cat' })
        stream.on('error', () => undefined)
        await once(stream, 'data')
      }),
    )
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async (_, n) => (await transport.run(`echo ${n}`)).stdout.toString()),
    )
    expect(answers).toEqual(answers.map((_, n) => `${n}\n`))
    const settled = await followers
    const refused = settled.filter((one) => one.status === 'rejected')
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'SSH_SESSION_REFUSED', retryable: true })
    // Four connections beside the shared one are for them, less what the shells take.
    expect(20 - refused.length).toBeGreaterThanOrEqual(Math.min(20, 5 * sessions - 4))
    expect((await door.log()).match(/Accepted publickey/g)?.length).toBeLessThanOrEqual(8)
    // With every session taken, an abort still kills, and scripts still run.
    const stop = new AbortController()
    const aborted = transport.run('sleep 603', { signal: stop.signal })
    await expect.poll(() => processes('sleep.60[3]')).toBeGreaterThan(0)
    stop.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await expect.poll(() => processes('sleep.60[3]')).toBe(0)
    expect((await transport.run('echo still')).stdout.toString()).toBe('still\n')
  },
)

test('who drops a stream before it began leaves nothing there', async () => {
  const transport = transportTo(optionsOf(machine))
  for (let n = 0; n < 10; n += 1) {
    const stream = await transport.open({ command: 'exec sleep 604' })
    stream.destroy()
    const stop = new AbortController()
    const opening = transport.open({ command: 'exec sleep 604' }, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(opening).rejects.toThrow('enough')
  }
  await transport.close()
  await expect.poll(() => processes('sleep.60[4]')).toBe(0)
})

test('close kills what an open stream runs there, whether it was used or not', async () => {
  for (let n = 0; n < 5; n += 1) {
    const transport = transportTo(optionsOf(machine))
    await transport.open({ command: 'exec sleep 607' })
    await transport.close()
  }
  expect(await processes('sleep.60[7]')).toBe(0)
})

test('close ends what is connecting, a login and what is silent, at once and twice', async () => {
  const { proxy, options } = await behindProxy()
  const closes = async (transport: ReturnType<typeof sshTransport>, running: Promise<unknown>): Promise<void> => {
    const refused = refusalOf(running)
    const started = performance.now()
    await Promise.all([transport.close(), transport.close()])
    expect(performance.now() - started).toBeLessThan(9_000)
    expect(await refused).toMatchObject({ code: 'TRANSPORT_CLOSED' })
    expect(await refusalOf(transport.run('true'))).toMatchObject({ code: 'TRANSPORT_CLOSED' })
    expect(await refusalOf(transport.open({ command: 'true' }))).toMatchObject({ code: 'TRANSPORT_CLOSED' })
  }
  const tools = { clock: systemClock, logger: silentLogger }
  proxy.blackHole(true)
  const connecting = sshTransport(options, tools)
  const first = connecting.run('true')
  await expect.poll(() => proxy.connections).toBe(1)
  await closes(connecting, first)
  proxy.blackHole(false)

  const loggingIn = sshTransport(options, tools)
  await machine.exec(`echo 'sleep 5' >>/home/${machine.user}/.bashrc`)
  const second = loggingIn.run('true')
  await expect.poll(() => processes('sleep.[5]')).toBe(1)
  await closes(loggingIn, second)
  await machine.exec(`: >/home/${machine.user}/.bashrc`)

  const silent = sshTransport(options, tools)
  await silent.run('true')
  const third = silent.run('sleep 605')
  await expect.poll(() => processes('sleep.60[5]')).toBe(1)
  proxy.blackHole(true)
  await closes(silent, third)
  await expect
    .poll(() => proxy.connections, { timeout: 10_000 })
    .toBe(0)
    .catch(() => proxy.cut())
})

async function program(body: string, options: SshOptions): Promise<{ code: number | null; stdout: string }> {
  const source = `import { sshTransport } from '@muster/cluster'
import { silentLogger as logger, systemClock as clock } from '@muster/core'
const machine = sshTransport(${JSON.stringify(options)}, { clock, logger })\n${body}`
  const args = ['--input-type=module', '-e', source]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000 })
  let stdout = ''
  child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout }
}

test('an idle transport keeps no process alive, nor a lost one; what is pending does, and close comes to its end', async () => {
  const { proxy, options } = await behindProxy()
  const begun = `await machine.run('true')\nawait machine.open({ command: 'cat' })\n`
  expect(await program(`${begun}console.log('idle')`, options)).toEqual({ code: 0, stdout: 'idle\n' })
  const pending = `console.log((await machine.run('sleep 0.3; echo done')).stdout.toString())`
  expect(await program(pending, options)).toEqual({ code: 0, stdout: 'done\n\n' })
  expect(await program(`${begun}await machine.close()\nconsole.log('closed')`, options)).toEqual({
    code: 0,
    stdout: 'closed\n',
  })
  const lost = program(
    `await machine.run('true')\nawait machine.run('sleep 606').catch((e) => console.log(e.code))`,
    options,
  )
  await expect.poll(() => processes('sleep.60[6]')).toBe(1)
  proxy.cut()
  expect(await lost).toEqual({ code: 0, stdout: 'TRANSPORT_LOST\n' })
})
