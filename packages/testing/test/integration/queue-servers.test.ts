/** Servers of queues in containers, met as a user meets them: with the clients that muster uses too. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { connect as tcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  removeLeftMachines,
  startRabbit,
  startRedis,
  startRedisCluster,
  startRedisPair,
  type QueueServer,
  type RabbitServer,
} from '@muster/testing/servers'
import { connect as amqp } from 'amqplib'
import { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

// Other test files have servers too: the files of these lie apart.
const scratch = mkdtempSync(join(tmpdir(), 'muster-test-'))
process.env['TMPDIR'] = scratch
afterAll(() => rmSync(scratch, { recursive: true }))

/** A client of the server for one question. */
async function ask<T>({ port }: { readonly port: number }, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => null, maxRetriesPerRequest: 0 })
  client.on('error', () => undefined) // the question rejects with it
  try {
    return await question(client)
  } finally {
    client.disconnect()
  }
}

/** How a connection to the server's port ends: `ECONNREFUSED` where nobody listens. */
async function knock({ port }: { readonly port: number }): Promise<string> {
  const socket = tcp({ port, host: '127.0.0.1' })
  const outcome = await once(socket, 'connect').then(
    () => 'open',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  )
  socket.destroy()
  return outcome
}

describe('Redis', () => {
  let redis: QueueServer
  beforeAll(async () => {
    redis = await startRedis({ config: ['appendonly yes'] })
  })
  afterAll(() => redis.remove())

  test('is configured as a fresh installation is, but for the lines that were given', async () => {
    const setting = async (name: string): Promise<unknown> => ask(redis, (client) => client.config('GET', name))
    expect(await setting('save')).toEqual(['save', '3600 1 300 100 60 10000'])
    expect(await setting('maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
    expect(await setting('appendonly')).toEqual(['appendonly', 'yes'])
  })

  test('killed, nobody listens; started, it is at the same port with what it had', async () => {
    const { port } = redis
    await ask(redis, (client) => client.set('kept', 'by the log'))
    await redis.kill()
    expect(await knock({ port })).toBe('ECONNREFUSED')
    await redis.start()
    expect(redis.port).toBe(port)
    expect(await ask(redis, (client) => client.get('kept'))).toBe('by the log')
  })

  test('a graceful end saves what a kill loses', async () => {
    const plain = await startRedis()
    onTestFinished(() => plain.remove())
    await ask(plain, (client) => client.set('a', 'saved'))
    await plain.stop()
    expect(await knock(plain)).toBe('ECONNREFUSED')
    await plain.start()
    await ask(plain, (client) => client.set('b', 'not saved'))
    await plain.kill()
    await plain.start()
    expect(await ask(plain, (client) => client.mget('a', 'b'))).toEqual(['saved', null])
  })

  test('frozen it answers nothing, and what was asked is answered when it goes on', async () => {
    await ask(redis, async (client) => {
      await client.set('a', 'before')
      await redis.pause()
      let answered = false
      const answer = client.get('a').finally(() => (answered = true))
      expect(await knock(redis)).toBe('open')
      const { stdout } = await promisify(execFile)('docker', ['inspect', '-f', '{{.State.Status}}', redis.containerId])
      expect([stdout.trim(), answered]).toEqual(['paused', false])
      await redis.unpause()
      expect(await answer).toBe('before')
    })
  })

  test('runs another image by its own entry point', async () => {
    const name = `muster-test-entry:${process.pid}`
    await promisify(execFile)('docker', [
      'commit',
      '-c',
      'ENTRYPOINT ["/usr/bin/redis-server"]',
      redis.containerId,
      name,
    ])
    onTestFinished(async () => {
      await promisify(execFile)('docker', ['rmi', '-f', name])
    })
    const other = await startRedis({ image: name, config: ['maxmemory 50mb'] })
    onTestFinished(() => other.remove())
    expect(await ask(other, (client) => client.config('GET', 'maxmemory'))).toEqual(['maxmemory', '52428800'])
    expect((await other.exec('cat /proc/1/comm')).stdout).toBe('redis-server\n')
  })

  test('remove leaves nothing, and may be said twice', async () => {
    const server = await startRedis()
    await server.remove()
    await server.remove()
    expect(await knock(server)).toBe('ECONNREFUSED')
    await expect(promisify(execFile)('docker', ['inspect', server.containerId])).rejects.toThrow(/No such/)
  })
})

test('a Redis Cluster serves all its slots to a client that knows one node, also after a kill', async () => {
  const cluster = await startRedisCluster()
  onTestFinished(() => cluster.remove())
  const keys = Array.from({ length: 30 }, (_, n) => `key ${n}`)
  const all = async (work: (client: Cluster, key: string) => Promise<unknown>): Promise<unknown[]> => {
    const client = new Cluster([{ host: cluster.host, port: cluster.nodes[1]?.port ?? 0 }])
    try {
      return await Promise.all(keys.map((key) => work(client, key)))
    } finally {
      client.disconnect()
    }
  }
  await all((client, key) => client.set(key, `of ${key}`))
  const sizes = await Promise.all(cluster.nodes.map((node) => ask(node, (client) => client.dbsize())))
  expect(sizes.reduce((sum, size) => sum + size)).toBe(30)
  expect(Math.min(...sizes)).toBeGreaterThan(0)
  await cluster.kill()
  await cluster.start()
  expect(await all((client, key) => client.get(key))).toEqual(keys.map((key) => `of ${key}`))
})

test('of a Redis pair the replica is promoted with what had reached it, and a swapped primary only reads', async () => {
  const pair = await startRedisPair()
  onTestFinished(() => pair.remove())
  await ask(pair.primary, async (client) => {
    await client.set('a', '1')
    expect(await client.wait(1, 5_000)).toBe(1)
    await pair.swap()
    await expect(client.set('a', '2')).rejects.toThrow(/READONLY/)
  })
  await ask(pair.replica, (client) => client.set('a', '3'))
  await expect.poll(() => ask(pair.primary, (client) => client.get('a'))).toBe('3')
  await pair.stop()
  await pair.start()
  await pair.promote()
  await expect(ask(pair.primary, (client) => client.ping())).rejects.toThrow(/closed/)
  expect(await ask(pair.replica, async (client) => [await client.get('a'), await client.set('b', '4')])).toEqual([
    '3',
    'OK',
  ])
})

describe('RabbitMQ', () => {
  let rabbit: RabbitServer
  beforeAll(async () => {
    rabbit = await startRabbit()
  })
  afterAll(() => rabbit.remove())

  /** The texts in a queue of the vhost, after putting in some more. */
  async function texts(url: string, ...more: string[]): Promise<string[]> {
    const connection = await amqp(url)
    try {
      const channel = await connection.createConfirmChannel()
      await channel.assertQueue('q', { durable: true })
      // A kill can take the last declaration away, with what is in it: docs/adr/0015.
      await channel.assertQueue('after', { durable: true })
      for (const text of more) channel.sendToQueue('q', Buffer.from(text), { persistent: true })
      await channel.waitForConfirms()
      const got: string[] = []
      for (let message = await channel.get('q'); message !== false; message = await channel.get('q'))
        got.push(message.content.toString())
      return got
    } finally {
      await connection.close()
    }
  }

  test('killed, nobody listens; started, it has what was confirmed', async () => {
    const url = await rabbit.vhost()
    expect(await texts(url, 'a', 'b')).toEqual(['a', 'b'])
    await rabbit.kill()
    expect(await knock(rabbit)).toBe('ECONNREFUSED')
    await rabbit.start()
    expect(await texts(url)).toEqual(['a', 'b'])
  })

  test('a graceful end is one: the broker says so, and has everything afterwards', async () => {
    const url = await rabbit.vhost()
    await texts(url, 'c')
    await rabbit.stop()
    const { stdout } = await promisify(execFile)('docker', ['logs', '--tail', '30', rabbit.containerId])
    expect(stdout).toMatch(/SIGTERM received - shutting down[^]*Message store .* is stopped\n$/)
    const ended = await promisify(execFile)('docker', ['inspect', '-f', '{{.State.ExitCode}}', rabbit.containerId])
    expect(ended.stdout).toBe('0\n')
    await rabbit.start()
    expect(await texts(url)).toEqual(['c'])
  })

  test('frozen it keeps its connections', async () => {
    const url = await rabbit.vhost()
    const connection = await amqp(url)
    try {
      await rabbit.pause()
      const opening = connection.createChannel()
      expect(await knock(rabbit)).toBe('open')
      await rabbit.unpause()
      await opening
    } finally {
      await connection.close()
    }
  })

  test('vhosts are apart, and the user of their URLs may do everything', async () => {
    const [one, two] = [await rabbit.vhost(), await rabbit.vhost()]
    expect(one).not.toBe(two)
    await texts(one, 'mine')
    expect(await texts(two)).toEqual([])
    const listed = await rabbit.ctl('list_permissions', '-p', new URL(one).pathname.slice(1))
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^muster\t\.\*\t\.\*\t\.\*$/m) as string })
  })

  test('no plugin runs beside the broker', async () => {
    expect(await rabbit.ctl('eval', 'rabbit_plugins:active().')).toMatchObject({ code: 0, stdout: '[]\n' })
  })
})

test('what an interrupted run left is removed, and what a living one owns is not', async () => {
  const mine = await startRedis()
  onTestFinished(() => mine.remove())
  const script = `
    import { startRedis } from '@muster/testing/servers'
    console.log((await startRedis()).containerId)
    setInterval(() => {}, 1000)`
  const other = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const id = String(((await once(other.stdout, 'data')) as [Buffer])[0]).trim()
  expect(await removeLeftMachines()).not.toContain(id)
  other.kill('SIGKILL')
  await once(other, 'exit')
  await removeLeftMachines()
  await expect(promisify(execFile)('docker', ['inspect', id])).rejects.toThrow(/No such/)
  expect(await ask(mine, (client) => client.ping())).toBe('PONG')
  await mine.remove()
  expect(await readdir(scratch)).toEqual([])
})
