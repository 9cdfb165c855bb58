/** The TCP proxy of the fault kit, between real sockets: what each fault does, and that no byte is ever lost or changed. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { reset } from '../../src/faults/reset.js'

let server: Server
let target: { host: string; port: number }
let proxy: TcpProxy
const accepted: Socket[] = []
const clients: Socket[] = []

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket.on('error', () => undefined))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  proxy = await tcpProxy(target)
})

afterEach(async () => {
  await proxy.close()
  for (const socket of [...clients.splice(0), ...accepted.splice(0)]) socket.destroy()
  server.close()
})

/** A connection through the proxy, and its other end at the server. */
async function pair(): Promise<{ near: Socket; far: Socket }> {
  const came = once(server, 'connection') as Promise<[Socket]>
  const near = connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true })
  clients.push(near)
  const [far] = await came
  return { near, far }
}

const first = async (socket: Socket): Promise<string> => String(((await once(socket, 'data')) as [Buffer])[0])
const failure = async (socket: Socket): Promise<string> =>
  ((await once(socket, 'error')) as [NodeJS.ErrnoException])[0].code ?? ''
/** All that comes until the other side ends; the socket stays open this way, which a stream consumer would not leave it. */
const all = async (socket: Socket): Promise<Buffer> => {
  const parts: Buffer[] = []
  socket.on('data', (bytes: Buffer) => parts.push(bytes))
  await once(socket, 'end')
  return Buffer.concat(parts)
}
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

test('bytes and ends pass both ways, each half on its own', async () => {
  const { near, far } = await pair()
  const bytes = randomBytes(20_000_000)
  const there = all(far)
  near.end(bytes)
  expect(hash(await there)).toBe(hash(bytes))
  const back = all(near)
  far.end('still open this way')
  expect(String(await back)).toBe('still open this way')
  await expect.poll(() => proxy.connections).toBe(0)
  expect(proxy.accepted).toBe(1)
})

describe('cut', () => {
  test('resets every live connection on both sides; a new one is welcome', async () => {
    const pairs = [await pair(), await pair()]
    expect(proxy.connections).toBe(2)
    const failures = pairs.flatMap(({ near, far }) => [failure(near), failure(far)])
    proxy.cut()
    expect(await Promise.all(failures)).toEqual(Array.from({ length: 4 }, () => 'ECONNRESET'))
    expect(proxy.connections).toBe(0)
    const { near, far } = await pair()
    near.write('again')
    expect(await first(far)).toBe('again')
  })
})

test('reset: a socket that is just ending is closed, too, and nobody hears of an error', async () => {
  const { near, far } = await pair()
  const errors: unknown[] = []
  far.on('error', (error) => errors.push(error))
  near.on('error', () => undefined).resume()
  far.end()
  reset(far)
  // A socket that was still held would take this for ever, without a word.
  const words = setInterval(() => near.write('anybody?'), 1)
  onTestFinished(() => clearInterval(words))
  await new Promise((resolve) => near.once('close', resolve))
  expect(errors).toEqual([])
})

describe('blackHole', () => {
  test('connections stay and are accepted, nothing passes either way; afterwards all that was sent comes', async () => {
    const { near, far } = await pair()
    proxy.blackHole(true)
    const late = await pair()
    let passed = 0
    for (const socket of [near, far, late.near, late.far]) socket.on('data', () => (passed += 1))
    near.write('up')
    far.write('down')
    late.near.write('late')
    // Three bytes that go round another proxy show that the time for these to pass was there.
    await roundTrips(3)
    expect({ passed, connections: proxy.connections }).toEqual({ passed: 0, connections: 2 })
    const arrived = Promise.all([first(far), first(near), first(late.far)])
    proxy.blackHole(false)
    expect(await arrived).toEqual(['up', 'down', 'late'])
  })

  test('the death of one side stays unknown to the other until it ends', async () => {
    const { near, far } = await pair()
    let ended = false
    const end = once(far.resume(), 'error')
    far.on('error', () => (ended = true)).on('end', () => (ended = true))
    proxy.blackHole(true)
    near.resetAndDestroy()
    await roundTrips(3)
    expect(ended).toBe(false)
    proxy.blackHole(false)
    await end
  })
})

test('strand: live connections stay open and pass nothing for good, new ones are served, and a cut ends all', async () => {
  const { near, far } = await pair()
  let passed = 0
  for (const socket of [near, far]) socket.on('data', () => (passed += 1))
  proxy.strand()
  near.write('up')
  far.write('down')
  const late = await pair()
  late.near.write('late')
  expect(await first(late.far)).toBe('late')
  proxy.blackHole(true)
  proxy.blackHole(false)
  await roundTrips(3)
  expect({ passed, connections: proxy.connections }).toEqual({ passed: 0, connections: 2 })
  const ends = [failure(near), failure(late.near)]
  proxy.cut()
  expect(await Promise.all(ends)).toEqual(['ECONNRESET', 'ECONNRESET'])
})

test('leadTo: new connections arrive at the other server, live ones stay with the first', async () => {
  const { near, far } = await pair()
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  try {
    proxy.leadTo({ host: '127.0.0.1', port: (other.address() as AddressInfo).port })
    const came = once(other, 'connection') as Promise<[Socket]>
    clients.push(connect({ host: proxy.host, port: proxy.port }))
    accepted.push((await came)[0])
    near.write('still here')
    expect(await first(far)).toBe('still here')
  } finally {
    other.close()
  }
})

test('delay: no byte arrives earlier, in either direction, and none is lost', async () => {
  const { near, far } = await pair()
  far.pipe(far)
  proxy.delay(60)
  const began = performance.now()
  near.write('x')
  expect(await first(near)).toBe('x')
  expect(performance.now() - began).toBeGreaterThanOrEqual(119)
})

test('delay: taken back while bytes are on their way, they come at once', async () => {
  const { near, far } = await pair()
  proxy.delay(3_600_000)
  near.write('x')
  await roundTrips(3)
  const arrived = first(far)
  proxy.delay(0)
  expect(await arrived).toBe('x')
})

test('throttle: at most so many bytes a second, all of them in the end', async () => {
  const { near, far } = await pair()
  proxy.throttle(100_000)
  const bytes = randomBytes(30_000)
  const began = performance.now()
  near.end(bytes)
  expect(hash(await all(far))).toBe(hash(bytes))
  // The last slice waits for nobody behind it.
  expect(performance.now() - began).toBeGreaterThanOrEqual(275)
})

test('refuse: nobody listens, live connections stay, and it listens again at the same port', async () => {
  const { near, far } = await pair()
  await proxy.refuse(true)
  const refused = connect({ host: proxy.host, port: proxy.port })
  clients.push(refused)
  expect(await failure(refused)).toBe('ECONNREFUSED')
  near.write('alive')
  expect(await first(far)).toBe('alive')
  await proxy.refuse(false)
  const again = await pair()
  again.near.write('again')
  expect(await first(again.far)).toBe('again')
})

test('a target that is not there resets whoever connects', async () => {
  server.close()
  const near = connect({ host: proxy.host, port: proxy.port })
  clients.push(near)
  expect(await failure(near)).toBe('ECONNRESET')
})

/** Passes bytes to and fro through a proxy without faults: longer than any byte needs that is not held. */
async function roundTrips(count: number): Promise<void> {
  const other = await tcpProxy(target)
  const came = once(server, 'connection') as Promise<[Socket]>
  const near = connect({ host: other.host, port: other.port })
  const [far] = await came
  far.pipe(far)
  for (let turn = 0; turn < count; turn += 1) {
    near.write('x')
    await once(near, 'data')
  }
  near.destroy()
  await other.close()
}
