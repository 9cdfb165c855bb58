/** The Redis backend on a Redis Cluster of three servers: queues spread over them, and slots move under load. */
import { startRedisCluster, type RedisCluster } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { QueueKeys } from '../../src/backends/redis/keys.js'
import { slotOf } from '../../src/backends/redis/slots.js'
import { acks, message, openRedis, take, texts } from './redis-kit.js'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster()
})
afterAll(() => cluster.remove())

const NAMES = Array.from({ length: 24 }, (_, n) => `queue ${n}`)

test('queues lie on all servers, and everything works on each', async () => {
  const backend = await openRedis(cluster.url)
  for (const name of NAMES) await backend.publish(name, [message('a'), message('b', { priority: 9 }), message('c')])
  for (const node of cluster.nodes) expect(Number((await node.cli('DBSIZE')).stdout)).toBeGreaterThan(0)
  expect(await backend.list()).toEqual([...NAMES].sort())
  for (const name of NAMES) {
    const [b, a, c] = await take(backend, name)
    if (!a || !b || !c) return expect.fail(`not all of ${name} came`)
    expect(texts([b, a, c])).toEqual(['b', 'a', 'c'])
    expect(
      await backend.settle([
        { as: 'ack', receipt: a.receipt },
        { as: 'dead', reason: 'no', receipt: b.receipt },
        { as: 'retry', delayMs: 0, receipt: c.receipt },
      ]),
    ).toEqual(['settled', 'dead', 'settled'])
    expect(await backend.counts(name)).toMatchObject({ ready: 1, leased: 0, dead: 1 })
    expect(await backend.redrive(name)).toBe(1)
    expect(await backend.clean(name)).toBe(2)
  }
})

test('one settle spans queues on different servers; waiting receives wake on each', async () => {
  const [producer, consumer] = [
    await openRedis(cluster.url, { namespace: 'shared' }),
    await openRedis(cluster.url, { namespace: 'shared' }),
  ]
  const waiting = NAMES.slice(0, 6).map((name) => take(consumer, name, { waitMs: 20_000 }))
  for (const name of NAMES.slice(0, 6)) await producer.publish(name, [message(name)])
  const got = (await Promise.all(waiting)).flat()
  expect(texts(got)).toEqual(NAMES.slice(0, 6))
  expect(await consumer.settle(acks(got))).toEqual(got.map(() => 'settled'))
})

test('any server of the cluster leads to all of it', async () => {
  const [, second] = cluster.nodes
  const backend = await openRedis(second?.url ?? '')
  for (const name of NAMES) expect(await backend.publish(name, [message('x')])).toMatchObject([{ status: 'accepted' }])
})

test('slots are those that the servers reckon', async () => {
  const [first] = cluster.nodes
  for (const name of [...NAMES, 'plain', 'ü/日本', 'a}b{c']) {
    const key = new QueueKeys('namespace', name).key('ready')
    expect(Number((await first?.cli(`CLUSTER KEYSLOT '${key}'`))?.stdout)).toBe(slotOf(key))
  }
})

test(
  'a slot that moves to another server under load: nothing is lost, nothing comes twice',
  { timeout: 60_000 },
  async () => {
    const namespace = 'moving'
    const name = Array.from({ length: 10_000 }, (_, n) => `q${n}`).find(
      (candidate) => slotOf(new QueueKeys(namespace, candidate).key('meta')) < 5,
    )
    if (name === undefined) return expect.fail('no name lies in the first slots')
    const backend = await openRedis(cluster.url, { namespace })
    const [first, second] = cluster.nodes
    const ids = await Promise.all([first, second].map(async (node) => (await node?.cli('CLUSTER MYID'))?.stdout.trim()))
    let moving = true
    const moved = cluster
      .exec(
        `redis-cli --cluster reshard 127.0.0.1:${first?.port} --cluster-from ${ids[0]} --cluster-to ${ids[1]} --cluster-slots 5 --cluster-yes`,
      )
      .finally(() => (moving = false))
    const [sent, seen]: [number[], number[]] = [[], []]
    for (let n = 0; moving || n < 50; n++) {
      expect(await backend.publish(name, [message(String(n))])).toMatchObject([{ status: 'accepted' }])
      sent.push(n)
      const got = await take(backend, name)
      seen.push(...texts(got).map(Number))
      expect(new Set(await backend.settle(acks(got)))).toEqual(new Set(['settled']))
    }
    expect((await moved).code).toBe(0)
    expect(seen).toEqual(sent)
    expect(
      Number(
        (await second?.cli(`CLUSTER COUNTKEYSINSLOT ${slotOf(new QueueKeys(namespace, name).key('meta'))}`))?.stdout,
      ),
    ).toBeGreaterThan(0)
  },
)
