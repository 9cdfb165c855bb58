/**
 * What the script that publishes promises where ids were made for the call: they are not looked for when the call is sent for the first
 * time, and are when it is repeated, also where the server no longer knows what it answered.
 */
import { systemIds } from '@muster/core'
import type { QueueBackend } from '@muster/orchestrator'
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { QueueKeys } from '../../src/backends/redis/keys.js'
import { PUBLISH, publishArguments } from '../../src/backends/redis/publish.js'
import { openRedis, take, texts } from './redis-kit.js'

let server: QueueServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.remove())

interface Calls {
  readonly backend: QueueBackend
  /** Sends the script as the backend does, bodies being the ids. */
  send(call: string, ids: string[], repeated: boolean): Promise<unknown>
  /** The server forgets what it answered, as one that evicts keys with a time to live may. */
  forget(): Promise<number>
}

async function start(): Promise<Calls> {
  const namespace = `test-${systemIds.next()}`
  const keys = new QueueKeys(namespace, 'q')
  const backend = await openRedis(server.url, { namespace })
  const client = new Redis(server.url)
  onTestFinished(() => client.disconnect())
  const send: Calls['send'] = (call, ids, repeated) => {
    const told = publishArguments({ ids, messages: ids.map((body) => ({ body })), born: true })
    return client.call('eval', [PUBLISH.source, ...keys.head(PUBLISH, 'slot'), call, repeated ? '1' : '0', ...told])
  }
  return { backend, send, forget: () => client.del(keys.once('slot')) }
}

const made = (count: number): string[] => Array.from({ length: count }, () => systemIds.next())

test('a call that is repeated leaves every message in once, with its answer kept and with its answer gone', async () => {
  const { backend, send, forget } = await start()
  const ids = made(2)
  expect(await send('call', ids, false)).toBe('1A')
  expect(await send('call', ids, true)).toBe('1A')
  expect(await forget()).toBe(1)
  expect(await send('call', ids, true)).toBe('1dd')
  expect(await backend.counts('q')).toMatchObject({ ready: 2 })
  expect(texts(await take(backend, 'q'))).toEqual(ids)
})

test('a repeated call takes in what is not there yet, and says which was', async () => {
  const { backend, send } = await start()
  const ids = made(3)
  await send('first', ids.slice(0, 1), false)
  expect(await send('second', ids, true)).toBe('1daa')
  expect(texts(await take(backend, 'q'))).toEqual(ids)
})
