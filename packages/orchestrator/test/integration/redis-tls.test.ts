/** Redis over TLS: a server that proves who it is, and one that does not. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemClock, systemIds } from '@muster/core'
import { parseAddress, type BackendConfig, type QueueBackend } from '@muster/orchestrator'
import { startRedis, type QueueServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { open } from '../../src/backends/redis/redis.js'
import { message, take, texts } from './redis-kit.js'

let server: QueueServer
let directory: string
beforeAll(async () => {
  server = await startRedis()
  directory = await mkdtemp(join(tmpdir(), 'muster-test-'))
  const made = await server.exec(`set -e; mkdir -p /tls; cd /tls
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=redis.test \\
      -addext 'subjectAltName=DNS:redis.test' 2>/dev/null
    chmod 644 key.pem
    # The published port takes TLS from now on.
    redis-cli CONFIG SET port 7000 >/dev/null
    redis-cli -p 7000 CONFIG SET tls-cert-file /tls/cert.pem tls-key-file /tls/key.pem \\
      tls-ca-cert-file /tls/cert.pem tls-auth-clients no tls-port 6379 | grep -q OK
    cat cert.pem`)
  expect(made).toMatchObject({ code: 0 })
  await writeFile(join(directory, 'ca.pem'), made.stdout)
})
afterAll(async () => {
  await server.remove()
  await rm(directory, { recursive: true })
})

async function openTls(tls: BackendConfig['tls']): Promise<QueueBackend> {
  const address = await parseAddress({ url: `rediss://${server.host}:${server.port}`, ...(tls && { tls }) })
  const backend = await open({ namespace: 'tls', clock: systemClock, ids: systemIds, logger: silentLogger }, address)
  onTestFinished(() => backend.close())
  return backend
}

test('a server whose certificate is signed by whom we trust', async () => {
  const backend = await openTls({ ca: join(directory, 'ca.pem'), servername: 'redis.test' })
  await backend.publish('q', [message('1')])
  expect(texts(await take(backend, 'q', { waitMs: 2_000 }))).toEqual(['1'])
})

test('a server that we cannot trust is refused, unless we say that it need not prove itself', async () => {
  await expect(openTls(undefined)).rejects.toMatchObject({ code: 'CONFIG_INVALID', retryable: false })
  const ca = join(directory, 'ca.pem')
  await expect(openTls({ ca, servername: 'other.test' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const backend = await openTls({ verify: false })
  expect(await backend.counts('q')).toMatchObject({ dead: 0 })
})
