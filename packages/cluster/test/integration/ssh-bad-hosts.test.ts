/**
 * Hosts that are not there, are no SSH servers, or stop in the middle: each a typed error with its reason within the connect
 * timeout, and nothing is left of the try: no socket, no timer, no unhandled error.
 */
import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import { getActiveResourcesInfo } from 'node:process'
import { sshTransport, type SshOptions } from '@muster/cluster'
import { silentLogger, systemClock } from '@muster/core'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openDoor, optionsOfDoor, refusalOf, refusedConnection } from './ssh-lab.js'
import { optionsOf } from './ssh-way.js'

/** Long enough for every answer that comes, short enough to wait for those that do not. */
const TIMEOUT_MS = 1_500
let machine: SshMachine

beforeAll(async () => {
  machine = await startSshMachine()
})
afterAll(() => machine?.remove())

function to(host: string, port: number, more: Partial<SshOptions> = {}): SshOptions {
  const destination = `${machine.user}@${host.includes(':') ? `[${host}]` : host}:${port}`
  return optionsOf(machine, { destination, connectTimeoutMs: TIMEOUT_MS, fingerprint: machine.fingerprint, ...more })
}

async function serving(serve: (socket: Socket) => unknown): Promise<SshOptions> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
    // Who does not read hears no end.
    socket.resume()
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.close()
    // Whoever gives up hangs up: nobody has to be thrown out.
    await expect.poll(() => sockets.size, { timeout: 5_000 }).toBe(0)
  })
  return to('127.0.0.1', (server.address() as AddressInfo).port)
}

/** The refusal, and that it came in time. */
async function refused(options: SshOptions): Promise<{ reason: unknown; message: string; hint: string }> {
  const started = performance.now()
  const { code, retryable, message, hint, details } = await refusedConnection(options)
  expect(performance.now() - started).toBeLessThan(TIMEOUT_MS + 2_000)
  expect({ code, retryable }).toEqual({ code: 'SSH_CONNECT_FAILED', retryable: true })
  return { reason: details['reason'], message, hint }
}

const GREETING = 'SSH-2.0-OpenSSH_9.2\r\n'

test('nobody listens', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  expect(await refused(to('127.0.0.1', port))).toMatchObject({
    reason: 'refused',
    message: expect.stringContaining(`127.0.0.1:${port}`) as string,
  })
})

test('a host that cannot be resolved', async () => {
  const { reason, hint } = await refused(to('no-such-host.invalid', 22, { connectTimeoutMs: 10_000 }))
  expect(reason).toBe('unknown-host')
  expect(hint).toMatch(/spelling/)
})

const FULL_LISTENER = `
perl -MSocket -e '
  socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(2100, INADDR_ANY)) or die; listen(S, 0) or die;
  for (1 .. 3) { socket($s[$_], PF_INET, SOCK_STREAM, 0); fcntl($s[$_], 4, 2048); connect($s[$_], sockaddr_in(2100, INADDR_LOOPBACK)) }
  print "full\\n"; close STDOUT; sleep 600' </dev/null >/tmp/full 2>&1 &
until grep -s full /tmp/full; do sleep 0.05; done`

test('a port whose packets are dropped', async () => {
  // A listener that accepts nobody, and whose queue is full, answers no further knock.
  expect((await machine.exec(FULL_LISTENER)).stdout).toBe('full\n')
  const { reason, message } = await refused(to(machine.internalHost, 2_100))
  expect(reason).toBe('timeout')
  expect(message).toContain('no answer within 1.5 s')
})

test.each<[string, (socket: Socket) => unknown, string]>([
  ['closes at once', (socket) => socket.destroy(), 'closed'],
  ['resets at once', (socket) => socket.resetAndDestroy(), 'closed'],
  ['ends at once', (socket) => socket.end(), 'closed'],
  ['accepts and says nothing', () => undefined, 'timeout'],
  ['speaks HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'), 'not-ssh'],
  ['says random bytes', (socket) => socket.write(randomBytes(100_000)), 'not-ssh'],
  ['says lines without end', (socket) => endless(socket, 'hello\r\n'), 'not-ssh'],
  ['says one line without end', (socket) => endless(socket, 'x'.repeat(1_000)), 'not-ssh'],
  ['greets and falls silent', (socket) => socket.write(GREETING), 'timeout'],
  ['greets and hangs up', (socket) => socket.end(GREETING), 'closed'],
  [
    'greets and speaks rubbish',
    (socket) => socket.write(Buffer.concat([Buffer.from(GREETING), randomBytes(5_000)])),
    'handshake',
  ],
  ['speaks an old SSH', (socket) => socket.write('SSH-1.5-old\r\n'), 'not-ssh'],
])('a host that %s', async (_, serve, reason) => {
  const answer = await refused(await serving(serve))
  expect(answer.reason, answer.message).toBe(reason)
  expect(answer.message).not.toMatch(/\p{Cc}/u)
})

/** Writes as long as somebody listens. */
function endless(socket: Socket, text: string): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(text.repeat(100)));
  }
  socket.on('drain', more)
  more()
}

test('a host that stops in the middle of the handshake, at any byte', async () => {
  for (const bytes of [1, 20, 300, 1_100, 1_400]) {
    const options = await serving((socket) => {
      const behind = connect(machine.port, machine.host)
      let left = bytes
      behind
        .on('error', () => undefined)
        .on('data', (chunk: Buffer) => {
          if (left > 0) socket.write(chunk.subarray(0, left))
          left -= chunk.length
        })
      socket.pipe(behind)
    })
    const { reason, message } = await refused({ ...options, connectTimeoutMs: 700 })
    expect(reason, `${bytes} bytes`).toBe('timeout')
    expect(message).toMatch(/stopped answering (during the handshake|while logging in)/)
  }
})

test('a host with nothing in common says so', async () => {
  const door = await openDoor(machine, ['KexAlgorithms diffie-hellman-group14-sha1'])
  const known = { fingerprint: machine.fingerprint, connectTimeoutMs: TIMEOUT_MS }
  const { reason, message } = await refused(optionsOfDoor(machine, door, known))
  expect(reason).toBe('handshake')
  expect(message).toMatch(/key exchange/i)
})

test('a host that goes silent during authentication', async () => {
  const door = await openDoor(machine, ['PermitRootLogin no'])
  const options = await serving((socket) => {
    const behind = connect(door.port, door.host)
    let sent = 0
    behind.on('error', () => undefined).on('data', (chunk: Buffer) => void socket.write(chunk))
    socket.on('data', (chunk: Buffer) => {
      sent += 1
      // Greeting, offer, keys; then the requests.
      if (sent <= 5) behind.write(chunk)
    })
    socket.once('close', () => behind.destroy())
  })
  const { reason, message } = await refused(options)
  expect(reason).toBe('timeout')
  expect(message).toMatch(/stopped answering/)
})

test('fifty failures leave nothing behind, and who asks during the pause is answered at once', async () => {
  const warnings: string[] = []
  const onWarning = (warning: Error): number => warnings.push(warning.message)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  const options = await serving((socket) => socket.end('rubbish\r\n'))
  const before = getActiveResourcesInfo().length
  for (let n = 0; n < 50; n += 1) {
    const transport = sshTransport(options, { clock: systemClock, logger: silentLogger })
    const first = await refusalOf(transport.run('true'))
    const started = performance.now()
    expect(await refusalOf(transport.run('true'))).toBe(first)
    expect(performance.now() - started).toBeLessThan(100)
    await transport.close()
  }
  await expect.poll(() => getActiveResourcesInfo().length).toBeLessThanOrEqual(before)
  expect(warnings).toEqual([])
})
