/** RabbitMQ in trouble: what only this server can do to us, beside the suite. Each test has a vhost of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { openBackend, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { tcpProxy } from '@muster/testing'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { connect } from 'amqplib'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

async function open(url: string, namespace = 'n'): Promise<QueueBackend> {
  const backend = await openBackend(url, { namespace })
  onTestFinished(() => backend.close())
  return backend
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = ({ body }: { readonly body: Uint8Array }): string => new TextDecoder().decode(body)
const receive = (backend: QueueBackend, queue: string, waitMs = 5_000): Promise<readonly RawDelivery[]> =>
  backend.receive({ queue, max: 100, waitMs, leaseMs: 30_000 })

/** Every queue of a vhost that an operator may delete: those in which processes hear of the registry are theirs alone. */
async function queuesOf(url: string): Promise<readonly string[]> {
  const vhost = decodeURIComponent(new URL(url).pathname.slice(1))
  const { stdout } = await server.ctl('list_queues', '-p', vhost, '--no-table-headers', 'name')
  return stdout.split('\n').filter((name) => name !== '' && !name.includes(':registry-ear:'))
}

/** Deletes them, and says how many there were. */
async function deleteAll(url: string): Promise<number> {
  const names = await queuesOf(url)
  const connection = await connect(url)
  const channel = await connection.createChannel()
  for (const name of names) await channel.deleteQueue(name)
  await connection.close()
  return names.length
}

test('every queue deleted in mid-flight: consumers, waiting receives, settings and pauses go on within 2 s', async () => {
  const url = await server.vhost()
  const backend = await open(url)
  const seen: string[] = []
  const standing = await backend.subscribe?.({
    queue: 'standing',
    slots: 5,
    leaseMs: 30_000,
    onDelivery: (delivery) => {
      seen.push(textOf(delivery))
      void backend.settle([{ as: 'ack', receipt: delivery.receipt }])
    },
  })
  await backend.declare('standing', { maxTries: 2 })
  await backend.setPaused('paused', true)
  const waiting = receive(backend, 'waiting', 30_000)
  await backend.publish('standing', [{ body: bytes('before') }])
  await expect.poll(() => seen).toEqual(['before'])

  // The waiting receive makes its own meanwhile.
  await expect.poll(async () => (await queuesOf(url)).length).toBeGreaterThanOrEqual(10)
  expect(await deleteAll(url)).toBeGreaterThanOrEqual(10)
  const began = performance.now()
  for (const queue of ['standing', 'waiting']) {
    const [outcome] = await backend.publish(queue, [{ body: bytes('after') }, { body: bytes('late'), delayMs: 50 }])
    expect(outcome).toMatchObject({ status: 'accepted' })
  }
  expect((await waiting).map(textOf)).toContain('after')
  await expect.poll(() => [...seen].sort(), { interval: 5 }).toEqual(['after', 'before', 'late'])
  expect(performance.now() - began).toBeLessThan(2_000)

  // What others read of it later is there again, too.
  const other = await open(url)
  expect(await other.list()).toEqual(['paused', 'standing', 'waiting'])
  expect((await other.counts('paused')).paused).toBe(true)
  await other.publish('standing', [{ body: bytes('x'), priority: 0 }])
  await standing?.close()
})

test('settings and pauses of one process hold in the other', async () => {
  const url = await server.vhost()
  const [one, other] = [await open(url), await open(url)]
  await other.declare('q')
  await one.declare('q', { limit: 1 })
  await Promise.all([one.declare('q', { maxTries: 1 }), other.declare('q', { maxCrashes: 9 })])
  await expect
    .poll(async () => {
      const outcomes = await other.publish('q', [{ body: bytes('1') }, { body: bytes('2') }])
      await other.clean('q')
      return outcomes.map(({ status }) => status)
    })
    .toEqual(['accepted', 'failed'])
  await other.publish('q', [{ body: bytes('1') }])
  const [delivery] = await receive(other, 'q')
  if (!delivery) return expect.fail('nothing came')
  expect(await other.settle([{ as: 'retry', delayMs: 0, receipt: delivery.receipt }])).toEqual(['dead'])
  const waiting = receive(other, 'q', 400)
  await one.setPaused('q', true)
  await one.publish('q', [{ body: bytes('held back') }])
  expect(await waiting).toEqual([])
})

test('a queue that is there with other arguments is reported with the difference, and left alone', async () => {
  const url = await server.vhost()
  await (await open(url)).publish('q', [{ body: bytes('kept') }])
  const quorum = await open(`${url}?queue=quorum`)
  await expect(quorum.publish('q', [{ body: bytes('x') }])).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/n:q:q.*x-max-priority.*current is the value '9'/) as string,
    hint: expect.stringContaining('?queue=') as string,
  })
  expect((await receive(await open(url), 'q')).map(textOf)).toEqual(['kept'])
})

test('wrong password, vhost, port and protocol, and a server that hangs: typed, in time, without the password', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const at = `${server.host}:${server.port}`
  const cases: [string, string][] = [
    [`amqp://muster:hunter2@${at}`, 'CONFIG_INVALID'],
    [`amqp://muster:muster@${at}/nowhere`, 'CONFIG_INVALID'],
    [`amqps://muster:hunter2@${at}`, 'CONFIG_INVALID'],
    ['amqp://muster:hunter2@127.0.0.1:1', 'BACKEND_UNAVAILABLE'],
    [`amqp://muster:hunter2@127.0.0.1:${port}?connectTimeout=500ms`, 'BACKEND_UNAVAILABLE'],
  ]
  for (const [url, code] of cases) {
    const began = performance.now()
    const error = await openBackend(url).catch((failure: unknown) => failure)
    expect(error, url).toMatchObject({ code, hint: expect.stringMatching(/./) as string })
    expect(JSON.stringify(error) + String(error) + String((error as Error).stack)).not.toContain('hunter2')
    expect(performance.now() - began).toBeLessThan(5_500)
  }
})

test('a server that is short of memory: publishing says so and can be tried again, receiving and settling go on', async () => {
  const url = await server.vhost()
  const backend = await open(url)
  await backend.publish('q', [{ body: bytes('1') }, { body: bytes('2') }])
  await server.ctl('set_vm_memory_high_watermark', '0')
  onTestFinished(async () => {
    await server.ctl('set_vm_memory_high_watermark', '0.4')
  })
  // The server says so only to who publishes: the first is taken by the socket and confirmed when memory is back.
  const stuck = backend.publish('q', [{ body: bytes('stuck') }])
  const codeOf = (error: unknown): string | undefined => (error as { code?: string }).code
  const again = async (): Promise<unknown> => {
    const publishing = backend.publish('q', [{ body: bytes('3') }]).then(() => 'accepted', codeOf)
    return Promise.race([publishing, sleep(3_000, 'still waiting')])
  }
  await expect.poll(again, { timeout: 20_000 }).toBe('BACKEND_UNAVAILABLE')
  const deliveries = await receive(backend, 'q')
  expect(deliveries.map(textOf)).toEqual(expect.arrayContaining(['1', '2']))
  const acks = deliveries.map(({ receipt }) => ({ as: 'ack' as const, receipt }))
  expect(await backend.settle(acks)).toEqual(deliveries.map(() => 'settled'))
  await server.ctl('set_vm_memory_high_watermark', '0.4')
  expect(await stuck).toMatchObject([{ status: 'accepted' }])
})

test('confirms lost with the connection: the messages are reported as failed, retryable, and nothing is lost after that', async () => {
  const url = await server.vhost()
  const proxy = await tcpProxy(server)
  onTestFinished(() => proxy.close())
  const backend = await open(url.replace(`${server.host}:${server.port}`, `${proxy.host}:${proxy.port}`))
  await backend.publish('q', [{ id: 'first', body: bytes('first') }])
  const batch = Array.from({ length: 2_000 }, (_, n) => ({ id: String(n), body: bytes(String(n)) }))
  proxy.delay(30)
  const publishing = backend.publish('q', batch)
  await sleep(100)
  proxy.cut()
  proxy.delay(0)
  const outcomes = await publishing
  const failed = outcomes.filter((outcome) => outcome.status === 'failed')
  expect(failed.length).toBeGreaterThan(0)
  for (const { error } of failed) expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', retryable: true })
  const again = await backend.publish(
    'q',
    failed.map(({ id }) => ({ id, body: bytes(id) })),
  )
  expect(again.every(({ status }) => status === 'accepted')).toBe(true)
  const ids = new Set<string>()
  for (let got = await receive(backend, 'q', 500); got.length > 0; got = await receive(backend, 'q', 500))
    for (const { id } of got) ids.add(id)
  expect(ids.size).toBe(batch.length + 1)
})

test('a settlement whose connection is cut is unconfirmed or lost, never settled twice; its message comes back', async () => {
  const url = await server.vhost()
  const proxy = await tcpProxy(server)
  onTestFinished(() => proxy.close())
  const backend = await open(url.replace(`${server.host}:${server.port}`, `${proxy.host}:${proxy.port}`))
  await backend.publish('q', [{ body: bytes('a') }])
  const [held] = await receive(backend, 'q')
  if (!held) return expect.fail('nothing came')
  proxy.blackHole(true)
  const settling = backend.settle([{ as: 'ack', receipt: held.receipt }])
  await sleep(50)
  proxy.cut()
  proxy.blackHole(false)
  expect(await settling).toEqual(['unconfirmed'])
  expect(await backend.settle([{ as: 'ack', receipt: held.receipt }])).toEqual(['already-settled'])
  expect((await receive(backend, 'q', 10_000)).map(({ crashes }) => crashes)).toEqual([1])
})

/** Lets the leases of all that waits end, so many times. */
async function crash(backend: QueueBackend, queue: string, count: number, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    for (let taken = 0; taken < count;)
      taken += (await backend.receive({ queue, max: count - taken, waitMs: 5_000, leaseMs: 400 })).length
    await expect.poll(async () => (await backend.counts(queue)).ready, { timeout: 10_000 }).toBe(count)
  }
}

test('a standing consumer never has more out than its slots, with suspects and a pause between', async () => {
  const backend = await open(await server.vhost())
  let [out, most, suspects, mostSuspects] = [0, 0, 0, 0]
  const done: RawDelivery[] = []
  const handle = async (delivery: RawDelivery): Promise<void> => {
    const suspect = delivery.crashes >= 2 ? 1 : 0
    most = Math.max(most, ++out)
    mostSuspects = Math.max(mostSuspects, (suspects += suspect))
    await sleep(5)
    out--
    suspects -= suspect
    done.push(delivery)
    await backend.settle([{ as: 'ack', receipt: delivery.receipt }])
  }
  const texts = (prefix: string, count: number): { body: Uint8Array }[] =>
    Array.from({ length: count }, (_, n) => ({ body: bytes(`${prefix}${n}`) }))
  await backend.publish('q', texts('s', 12))
  await crash(backend, 'q', 12, 2)
  await backend.publish('q', texts('m', 200))
  const onDelivery = (delivery: RawDelivery): void => void handle(delivery)
  const standing = await backend.subscribe?.({ queue: 'q', slots: 7, leaseMs: 30_000, onDelivery })
  await expect.poll(() => done.length, { timeout: 20_000 }).toBeGreaterThan(20)
  await backend.setPaused('q', true)
  await expect.poll(() => out).toBe(0)
  const before = done.length
  expect(await backend.receive({ queue: 'q', max: 5, waitMs: 200, leaseMs: 1_000 })).toEqual([])
  expect(done.length).toBe(before)
  await backend.setPaused('q', false)
  await expect.poll(() => done.length, { timeout: 20_000 }).toBe(212)
  expect(new Set(done.map(textOf)).size).toBe(212)
  expect(done.filter(({ crashes }) => crashes === 2)).toHaveLength(12)
  expect({ most, mostSuspects }).toEqual({ most: 7, mostSuspects: 1 })
  await standing?.close()
  await backend.publish('q', [{ body: bytes('after') }])
  expect((await receive(backend, 'q')).map(textOf)).toEqual(['after'])
})

test('an opened backend with a standing consumer keeps no process alive', async () => {
  const url = await server.vhost()
  const body = `
    import { openBackend } from '@muster/orchestrator'
    const backend = await openBackend(${JSON.stringify(url)}, { namespace: 'n' })
    await backend.publish('q', [{ body: new Uint8Array(3), delayMs: 3_600_000 }])
    await backend.subscribe({ queue: 'q', slots: 3, leaseMs: 60_000, onDelivery: () => undefined })
    console.log('idle')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', body], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (chunk) => (said += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  expect({ code, said }).toEqual({ code: 0, said: 'idle\n' })
})
