/** What a Redis server says when it cannot or will not: each answer ends in a repetition that is safe, or in a typed error. */
import { inspect } from 'node:util'
import { expect, onTestFinished, test, beforeAll, afterAll } from 'vitest'
import { startRedis, startRedisPair, type QueueServer, type RedisNode, type RedisPair } from '@muster/testing/servers'
import { tcpProxy, type TcpProxy } from '@muster/testing'
import { acks, listeningLogger, message, openRedis, take, texts } from './redis-kit.js'

let server: QueueServer
beforeAll(async () => {
  server = await startRedis({ config: ['enable-debug-command yes', 'save ""'] })
})
afterAll(() => server.remove())

const cli = async (...words: readonly string[]): Promise<void> => {
  await server.exec(['redis-cli', ...words.map((word) => `'${word}'`)].join(' '))
}

/** Resolves when the replica has what the primary has. */
async function caughtUp({ primary, replica }: RedisPair): Promise<void> {
  const offset = async (node: RedisNode): Promise<string | undefined> =>
    /master_repl_offset:(\d+)/.exec((await node.cli('INFO replication')).stdout)?.[1]
  const wanted = Number(await offset(primary))
  await expect.poll(async () => Number(await offset(replica)), { timeout: 10_000 }).toBeGreaterThanOrEqual(wanted)
}

async function proxyTo(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const proxy = await tcpProxy(target)
  onTestFinished(() => proxy.close())
  return proxy
}

test('NOSCRIPT: a server that forgot our scripts gets them again', async () => {
  const backend = await openRedis(server.url)
  await backend.publish('q', [message('1')])
  await cli('SCRIPT', 'FLUSH')
  await backend.publish('q', [message('2')])
  await cli('SCRIPT', 'FLUSH')
  const got = await take(backend, 'q')
  expect(texts(got)).toEqual(['1', '2'])
  await cli('SCRIPT', 'FLUSH')
  expect(await backend.settle(acks(got))).toEqual(['settled', 'settled'])
})

test('FLUSHALL: what was held is lost, who waits goes on, and the queue has its settings again', async () => {
  const backend = await openRedis(server.url)
  await backend.declare('q', { maxTries: 1 })
  await backend.publish('q', [message('gone')])
  const held = await take(backend, 'q')
  const waiting = take(backend, 'q', { waitMs: 20_000 })
  await cli('FLUSHALL')
  expect(await backend.settle(acks(held))).toEqual(['lease-lost'])
  await backend.publish('q', [message('new')])
  const [fresh] = await waiting
  expect(texts(fresh ? [fresh] : [])).toEqual(['new'])
  expect(await backend.list()).toEqual(['q'])
  if (fresh) expect(await backend.settle([{ as: 'retry', delayMs: 0, receipt: fresh.receipt }])).toEqual(['dead'])
})

test('OOM: publishing is refused as by a full queue, and everything that makes room works', async () => {
  const backend = await openRedis(server.url)
  await backend.publish('q', [message('1'), message('2'), message('3'), message('4')])
  onTestFinished(() => cli('CONFIG', 'SET', 'maxmemory', '0'))
  await cli('CONFIG', 'SET', 'maxmemory', '1')
  const [refused] = await backend.publish('q', [message('5')])
  expect(refused).toMatchObject({ status: 'failed', error: { code: 'QUEUE_FULL', retryable: true } })
  const [one, two, three, four] = await take(backend, 'q')
  if (!one || !two || !three || !four) return expect.fail('not all came')
  expect(await backend.extend([{ receipt: one.receipt, leaseMs: 60_000 }])).toEqual(['extended'])
  expect(
    await backend.settle([
      { as: 'ack', receipt: one.receipt },
      { as: 'retry', delayMs: 0, receipt: two.receipt },
      { as: 'release', receipt: three.receipt },
      { as: 'dead', reason: 'no', receipt: four.receipt },
    ]),
  ).toEqual(['settled', 'settled', 'settled', 'dead'])
  expect(await backend.redrive('q')).toBe(1)
  expect(await backend.clean('q', { limit: 1 })).toBe(1)
  expect(await backend.counts('q')).toMatchObject({ ready: 2, leased: 0, dead: 0 })
  await cli('CONFIG', 'SET', 'maxmemory', '0')
  expect(await backend.publish('q', [message('6')])).toMatchObject([{ status: 'accepted' }])
})

test('MISCONF: a server that cannot save takes nothing, and says why', async () => {
  const backend = await openRedis(server.url)
  const heal = (): Promise<unknown> =>
    server.exec('rmdir /var/lib/redis/dump.rdb; redis-cli CONFIG SET save ""; redis-cli BGSAVE')
  onTestFinished(async () => {
    await heal()
  })
  await server.exec('rm -f /var/lib/redis/dump.rdb; mkdir /var/lib/redis/dump.rdb; redis-cli CONFIG SET save "3600 1"')
  await cli('BGSAVE')
  const refusal = { code: 'BACKEND_UNAVAILABLE', retryable: true, message: expect.stringContaining('save') as string }
  await expect
    .poll(() => backend.publish('q', [message('1')]).catch((error: unknown) => error), { timeout: 10_000 })
    .toMatchObject(refusal)
  await heal()
  await expect
    .poll(() => backend.publish('q', [message('2')]).catch(() => []), { timeout: 10_000 })
    .toMatchObject([{ status: 'accepted' }])
})

test('LOADING: calls wait until the server has its data', async () => {
  const backend = await openRedis(server.url)
  await backend.publish(
    'load',
    Array.from({ length: 200 }, (_, n) => message(String(n))),
  )
  await server.exec(
    'redis-cli CONFIG SET loading-process-events-interval-bytes 1024; redis-cli CONFIG SET key-load-delay 20000',
  )
  onTestFinished(() => cli('CONFIG', 'SET', 'key-load-delay', '0'))
  const reloading = cli('DEBUG', 'RELOAD')
  await expect
    .poll(async () => (await server.exec('redis-cli GET x')).stdout, { timeout: 10_000, interval: 20 })
    .toContain('LOADING')
  expect(await backend.publish('load', [message('200')])).toMatchObject([{ status: 'accepted' }])
  await reloading
  expect(await take(backend, 'load')).toHaveLength(201)
})

test('READONLY: after the two servers changed places, calls reach the one that writes', async () => {
  const pair = await startRedisPair()
  onTestFinished(() => pair.remove())
  const proxy = await proxyTo(pair.primary)
  const backend = await openRedis(`redis://${proxy.host}:${proxy.port}`)
  await backend.publish('q', [message('before')])
  await caughtUp(pair)
  const waiting = take(backend, 'other', { waitMs: 30_000 })
  await pair.swap()
  proxy.leadTo(pair.replica)
  expect(await backend.publish('q', [message('after')])).toMatchObject([{ status: 'accepted' }])
  expect(texts(await take(backend, 'q'))).toEqual(['before', 'after'])
  await backend.publish('other', [message('woken')])
  expect(texts(await waiting)).toEqual(['woken'])
})

test('a replica that is promoted serves what had reached it, and a consumer that waits goes on', async () => {
  const pair = await startRedisPair()
  onTestFinished(() => pair.remove())
  const proxy = await proxyTo(pair.primary)
  const backend = await openRedis(`redis://${proxy.host}:${proxy.port}`)
  await backend.publish('q', [message('kept'), message('held')])
  const [first] = await take(backend, 'q', { max: 1 })
  await caughtUp(pair)
  const waiting = take(backend, 'other', { waitMs: 30_000 })
  proxy.leadTo(pair.replica)
  await pair.promote()
  expect(await backend.settle(first ? acks([first]) : [])).toEqual(['settled'])
  expect(texts(await take(backend, 'q'))).toEqual(['held'])
  await backend.publish('other', [message('woken')])
  expect(texts(await waiting)).toEqual(['woken'])
})

test('a server that hangs: calls end within their deadlines and say what is unknown; afterwards all goes on', async () => {
  const backend = await openRedis(`${server.url}?commandTimeout=300ms&connectTimeout=300ms`)
  await backend.publish('q', [message('held')])
  const held = await take(backend, 'q')
  const waiting = take(backend, 'later', { waitMs: 60_000 }).catch((error: unknown) => error)
  await server.pause()
  onTestFinished(() => server.unpause().catch(() => undefined))
  const [published] = await backend.publish('q', [message('lost?', { id: 'lost?' })])
  expect(published).toMatchObject({
    status: 'failed',
    error: { code: 'BACKEND_UNAVAILABLE', retryable: true, details: { unconfirmed: true } },
  })
  // Known to be away: no patience for calls that begin now, nor for one that has waited as long as that.
  const asked = performance.now()
  await expect(backend.counts('q')).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
  expect(performance.now() - asked).toBeLessThan(2_500)
  expect(await waiting).toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
  await server.unpause()
  await expect.poll(() => backend.counts('q').catch(() => undefined), { timeout: 10_000 }).toBeDefined()
  expect(await backend.settle(acks(held))).toEqual(['settled'])
  const [again] = await backend.publish('q', [message('lost?', { id: 'lost?' })])
  expect(['accepted', 'duplicate']).toContain(again?.status)
  expect(texts(await take(backend, 'q'))).toEqual(['lost?'])
})

test('a settlement that nobody answers is unconfirmed; it can be asked for again', async () => {
  const proxy = await proxyTo(server)
  const backend = await openRedis(`redis://${proxy.host}:${proxy.port}?commandTimeout=200ms&connectTimeout=200ms`)
  await backend.publish('q', [message('1')])
  const held = await take(backend, 'q')
  proxy.blackHole(true)
  expect(await backend.settle(acks(held))).toEqual(['unconfirmed'])
  proxy.blackHole(false)
  await expect.poll(() => backend.counts('q').catch(() => undefined), { timeout: 10_000 }).toBeDefined()
  expect(['settled', 'unconfirmed']).toContain((await backend.settle(acks(held)))[0])
  expect(await backend.counts('q')).toMatchObject({ ready: 0, leased: 0 })
})

test(
  'connections that break at any moment: nothing is lost, nothing happens twice, every answer is true',
  { timeout: 60_000 },
  async () => {
    const proxy = await proxyTo(server)
    const backend = await openRedis(`redis://${proxy.host}:${proxy.port}`)
    const seen: string[] = []
    let producing = true
    const consume = async (): Promise<void> => {
      for (;;) {
        const got = await take(backend, 'q', { max: 7, waitMs: 200 })
        if (got.length === 0 && !producing) return
        expect(got.every(({ crashes }) => crashes === 0)).toBe(true)
        seen.push(...texts(got))
        expect(new Set(await backend.settle(acks(got)))).toEqual(new Set(got.length > 0 ? ['settled'] : []))
      }
    }
    const cut = async (): Promise<void> => {
      for (let n = 0; producing; n++) {
        proxy.cut()
        await new Promise((resolve) => setTimeout(resolve, 15 + 5 * (n % 17)))
      }
    }
    const produce = async (): Promise<void> => {
      for (let n = 0; n < 500; n++)
        expect(await backend.publish('q', [message(String(n))])).toMatchObject([{ status: 'accepted' }])
      producing = false
    }
    await Promise.all([consume(), consume(), produce(), cut()])
    expect(seen.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, n) => n))
    expect(proxy.accepted).toBeGreaterThan(5)
  },
)

test('a password that is wrong or missing, and a user without rights, are refused with what to correct', async () => {
  const port = `${server.host}:${server.port}`
  await server.exec('redis-cli ACL SETUSER ok on ">s3cret" "~muster:*" "+@all" "-@admin" "-info" "-config"')
  await server.exec('redis-cli ACL SETUSER poor on ">s3cret" "~muster:*" "+@connection" "+blpop" "+info"')
  const refusal = (url: string): Promise<unknown> => openRedis(url).catch((error: unknown) => error)
  const wrong = await refusal(`redis://ok:wr0ng@${port}`)
  expect(wrong).toMatchObject({ code: 'CONFIG_INVALID', retryable: false })
  expect(JSON.stringify([wrong, String(wrong)]) + inspectAll(wrong)).not.toContain('wr0ng')

  const poor = await openRedis(`redis://poor:s3cret@${port}`)
  await expect(poor.publish('q', [message('1')])).rejects.toMatchObject({ code: 'CONFIG_INVALID' })

  const logger = listeningLogger()
  const backend = await openRedis(`redis://ok:s3cret@${port}`, { logger })
  await backend.publish('q', [message('1')])
  expect(texts(await take(backend, 'q', { waitMs: 1_000 }))).toEqual(['1'])
  expect(JSON.stringify(logger.warnings)).not.toContain('s3cret')
})

test('a database number is used; one that the server does not have is refused, never replaced by 0', async () => {
  const backend = await openRedis(`${server.url}/3`)
  await backend.publish('q', [message('1')])
  expect((await server.exec('redis-cli -n 3 DBSIZE')).stdout).not.toBe('0\n')
  await expect(openRedis(`${server.url}/99`)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('nobody listens: opening says so at once', async () => {
  const proxy = await proxyTo(server)
  await proxy.close()
  await expect(openRedis(`redis://${proxy.host}:${proxy.port}`)).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    retryable: true,
  })
})

test('settings of the server that put messages at risk are said once', async () => {
  const logger = listeningLogger()
  await cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  onTestFinished(() => cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction'))
  const backend = await openRedis(server.url, { logger })
  await backend.publish('q', [message('1')])
  await openRedis(server.url, { logger })
  expect(logger.warnings).toHaveLength(1)
  expect(logger.warnings[0]?.message).toMatch(/loses every message.*allkeys-lru/s)
})

function inspectAll(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    parts.push(inspect(at, { depth: 9, showHidden: true }), at.stack ?? '')
  return parts.join('\n')
}
