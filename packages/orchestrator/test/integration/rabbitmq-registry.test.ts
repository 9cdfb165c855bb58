/**
 * The registry of queues on a real server: what one process pauses or sets holds in all others, whoever opens, dies, freezes or deletes
 * meanwhile. Each test has a vhost of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer, connect as dial, type AddressInfo } from 'node:net'
import { silentLogger, systemClock, systemIds } from '@muster/core'
import { parseAddress } from '@muster/orchestrator'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { connect, type ChannelModel } from 'amqplib'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../src/backends/rabbitmq/config.js'
import { assemble } from '../../src/backends/rabbitmq/parts.js'
import type { Registry } from '../../src/backends/rabbitmq/registry.js'

const LOG = 'n:registry-log'

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

async function open(url: string): Promise<Registry> {
  const config = readConfig(await parseAddress(url), 'n')
  const parts = await assemble(config, {
    namespace: 'n',
    clock: systemClock,
    ids: systemIds,
    logger: silentLogger,
  })
  onTestFinished(() => parts.close())
  return parts.registry
}

/** Opens, reads and closes; gives what holds for a queue. */
async function seen(url: string, queue: string): Promise<unknown> {
  const config = readConfig(await parseAddress(url), 'n')
  const parts = await assemble(config, { namespace: 'n', clock: systemClock, ids: systemIds, logger: silentLogger })
  const entry = parts.registry.get(queue)
  await parts.close()
  return entry
}

async function raw(url: string): Promise<ChannelModel> {
  const connection = await connect(url.replace(/\?.*/, ''))
  connection.on('error', () => undefined)
  onTestFinished(async () => connection.close().catch(() => undefined))
  return connection
}

async function lengthOfLog(url: string): Promise<number> {
  const channel = await (await raw(url)).createChannel()
  return (await channel.checkQueue(LOG)).messageCount
}

async function evaluate(code: string): Promise<string> {
  const { code: status, stdout, stderr } = await server.ctl('eval', code)
  expect(status, stderr).toBe(0)
  return stdout
}

const vhostOf = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1))

describe.each(['classic', 'quorum'])('on %s queues', (kind) => {
  const place = async (): Promise<string> => `${await server.vhost()}?queue=${kind}`

  test('what one has changed another hears, and who opens later reads', async () => {
    const url = await place()
    const [one, other] = [await open(url), await open(url)]
    await one.change('q', { paused: true })
    // All had it before it resolved: whatever the other hears of now comes behind it.
    expect(await other.list()).toEqual(['q'])
    expect(other.get('q')).toEqual({ settings: {}, paused: true })
    await Promise.all([
      other.change('q', { settings: { limit: 7 } }),
      one.change('q', { settings: { maxTries: 3 }, paused: false }),
    ])
    const expected = { settings: { limit: 7, maxTries: 3 }, paused: false }
    for (const registry of [one, other, await open(url)]) {
      await registry.list()
      expect(registry.get('q')).toEqual(expected)
    }
  })

  test('eight open a new place at once, and each soon knows the queues of all', async () => {
    const url = await place()
    const names = Array.from({ length: 8 }, (_, n) => `q${n}`)
    const registries = await Promise.all(
      names.map(async (name) => {
        const registry = await open(url)
        await registry.change(name, { settings: { limit: 1 }, paused: true })
        return registry
      }),
    )
    for (const registry of [...registries, await open(url)]) {
      expect(await registry.list()).toEqual(names)
      expect(names.map((name) => registry.get(name)?.paused)).toEqual(names.map(() => true))
    }
  })

  test('those who change the same fields at the same time agree in the end, and with who comes', async () => {
    const url = await place()
    const registries = await Promise.all(Array.from({ length: 4 }, () => open(url)))
    const changes = registries.flatMap((registry, at) =>
      Array.from({ length: 15 }, (_, n) =>
        registry.change('q', { settings: { limit: 100 * at + n + 1, maxTries: at + 1 }, paused: n % 2 === at % 2 }),
      ),
    )
    await Promise.all(changes)
    await Promise.all(registries.map((registry) => registry.list()))
    const [entry, ...others] = registries.map((registry) => registry.get('q'))
    expect(entry?.settings.limit).toBeGreaterThan(0)
    expect(others).toEqual(others.map(() => entry))
    expect(await seen(url, 'q')).toEqual(entry)
  })

  test('whoever opens while others change has every change that resolved before it looks', async () => {
    const url = await place()
    const writer = await open(url)
    let [limit, done] = [0, false]
    const writing = (async () => {
      while (!done) {
        await writer.change('q', { settings: { limit: limit + 1 } })
        limit++
      }
    })()
    for (let round = 0; round < 15; round++) {
      const registry = await open(url)
      const atLeast = limit
      await registry.list()
      expect(registry.get('q')?.settings.limit ?? 0).toBeGreaterThanOrEqual(atLeast)
    }
    done = true
    await writing
  })

  test('the log keeps what holds: after many changes a reading leaves little of it', async () => {
    const url = await place()
    const registry = await open(url)
    await registry.enter('other')
    for (let limit = 1; limit <= 200; limit++) await registry.change('q', { settings: { limit } })
    expect(await lengthOfLog(url)).toBeGreaterThan(200)
    expect(await seen(url, 'q')).toEqual({ settings: { limit: 200 }, paused: undefined })
    await expect.poll(() => lengthOfLog(url)).toBeLessThanOrEqual(3)
    const last = await open(url)
    expect(await last.list()).toEqual(['other', 'q'])
    expect(last.get('q')?.settings).toEqual({ limit: 200 })
  })

  test('the log stays short where one writes for long and nobody opens', async () => {
    const url = await place()
    const registry = await open(url)
    for (let round = 0; round < 11; round++)
      await Promise.all(
        Array.from({ length: 50 }, (_, n) => registry.change('q', { settings: { limit: round * 50 + n + 1 } })),
      )
    await expect.poll(() => lengthOfLog(url)).toBeLessThan(100)
    expect(await seen(url, 'q')).toMatchObject({ settings: registry.get('q')?.settings })
  })

  test('every queue is deleted, or the log alone, or the whole vhost: who knows a pause writes it again', async () => {
    const url = await place()
    const registry = await open(url)
    await registry.change('q', { settings: { limit: 7 }, paused: true })
    const expected = { settings: { limit: 7 }, paused: true }
    const name = vhostOf(url)
    await evaluate(
      `[rabbit_amqqueue:delete(Q, false, false, <<"muster">>) || Q <- rabbit_amqqueue:list(<<"${name}">>)].`,
    )
    await expect.poll(() => seen(url, 'q')).toEqual(expected)

    // Nobody is told of this one, so the next change finds out, or who opens says that it found none.
    const channel = await (await raw(url)).createChannel()
    await channel.deleteQueue(LOG)
    await registry.change('p', { paused: true })
    expect(await seen(url, 'q')).toEqual(expected)
    await channel.deleteQueue(LOG)
    const finder = await open(url)
    await expect.poll(() => finder.get('q')).toEqual(expected)
    expect(await seen(url, 'q')).toEqual(expected)

    const remade = ['delete', 'add'].map((verb) => `ok = rabbit_vhost:${verb}(<<"${name}">>, <<"muster">>)`)
    const all = '<<".*">>'
    const rights = `rabbit_auth_backend_internal:set_permissions(<<"muster">>, <<"${name}">>, ${all}, ${all}, ${all}, <<"muster">>)`
    await evaluate(`${[...remade, rights].join(', ')}.`)
    await expect.poll(async () => seen(url, 'q').catch(() => undefined), { timeout: 20_000 }).toEqual(expected)
  })

  test('a reader that freezes or dies while the log is with it: who opens waits for its end, and misses nothing', async () => {
    const url = await place()
    await (await open(url)).change('q', { paused: true })
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      const body = `
        const { connect } = require('amqplib')
        connect(${JSON.stringify(url.replace(/\?.*/, ''))} + '?heartbeat=3').then(async (connection) => {
          const channel = await connection.createChannel()
          await channel.consume(${JSON.stringify(LOG)}, () => console.log('mine'))
        })`
      const child = spawn(process.execPath, ['-e', body], {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: createRequire(import.meta.url)
          .resolve('amqplib')
          .replace(/node_modules.*/, ''),
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      const died = once(child, 'exit').then(() => expect.fail('the reader ended before it read'))
      await Promise.race([once(child.stdout, 'data'), died])
      died.catch(() => undefined) // from here on it is to die
      const opening = seen(url, 'q')
      let done = false
      void opening.finally(() => (done = true))
      await expect
        .poll(async () => (await (await raw(url)).createChannel()).checkQueue(LOG))
        .toMatchObject({ messageCount: 0 })
      expect(done).toBe(false)
      child.kill(signal)
      expect(await opening).toMatchObject({ paused: true })
    }
  })

  test('a server that is short of memory: who opens learns what holds; a change says why it cannot be', async () => {
    const url = await place()
    await (await open(url)).change('q', { paused: true })
    await server.ctl('set_vm_memory_high_watermark', '0')
    try {
      const registry = await open(url)
      expect(await registry.list()).toEqual(['q'])
      expect(registry.get('q')?.paused).toBe(true)
      await expect(registry.change('q', { paused: false })).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
      await server.ctl('set_vm_memory_high_watermark', '0.4')
      await expect.poll(() => registry.change('q', { paused: false }).then(() => 'done', String)).toBe('done')
      expect(await seen(url, 'q')).toMatchObject({ paused: false })
    } finally {
      await server.ctl('set_vm_memory_high_watermark', '0.4')
    }
  })
})

test('processes that asked for different kinds share one registry', async () => {
  const url = await server.vhost()
  const both = await Promise.all(['classic', 'quorum'].map((kind) => open(`${url}?queue=${kind}`)))
  await both[0]?.change('q', { paused: true })
  await both[1]?.list()
  expect(both[1]?.get('q')?.paused).toBe(true)
})

test('a quorum log that may be given back a few times only keeps its records however often it is read', async () => {
  const url = `${await server.vhost()}?queue=quorum`
  await server.ctl(
    'set_policy',
    '-p',
    vhostOf(url),
    'few',
    'registry-log$',
    '{"delivery-limit":15}',
    '--apply-to',
    'queues',
  )
  const registry = await open(url)
  await registry.change('q', { paused: true })
  for (let time = 0; time < 40; time++) expect(await seen(url, 'q')).toMatchObject({ paused: true })
})

/** A way to the server that breaks as soon as somebody asks to hear of the registry, the first few times. */
async function breakingWay(times: number): Promise<number> {
  let left = times
  const proxy = createServer((client) => {
    const there = dial(server.port, server.host)
    for (const socket of [client, there]) socket.on('error', () => undefined)
    client.on('data', (bytes) => {
      // basic.consume, of an ear
      const asks = bytes.includes(Buffer.of(0, 60, 0, 20)) && bytes.includes('registry-ear')
      if (!asks || left-- <= 0) return void there.write(bytes)
      client.destroy()
      there.destroy()
    })
    there.pipe(client)
    client.on('close', () => there.destroy())
  }).listen(0, server.host)
  onTestFinished(() => void proxy.close())
  await once(proxy, 'listening')
  return (proxy.address() as AddressInfo).port
}

test('the connection breaks in the moment in which a process begins to listen: it tries again', async () => {
  const url = await server.vhost()
  const way = url.replace(`:${server.port}/`, `:${await breakingWay(2)}/`)
  const registry = await open(way)
  await (await open(url)).change('q', { paused: true })
  await expect.poll(() => registry.get('q')?.paused).toBe(true)
})
