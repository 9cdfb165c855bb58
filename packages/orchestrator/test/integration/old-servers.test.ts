/** A server that is too old is refused by name. There is none here, so what a real one says of its version is changed on its way. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { openBackend } from '@muster/orchestrator'
import { startRabbit, startRedis, type QueueServer } from '@muster/testing/servers'
import { expect, onTestFinished, test } from 'vitest'

/** The server's address by way of a proxy that changes what it says; what it says instead is as long. */
async function saying(server: QueueServer, change: (said: string) => string): Promise<string> {
  const proxy = createServer((client) => {
    const upstream = connect(server.port, server.host)
    upstream.on('data', (said) => client.write(change(said.toString('latin1')), 'latin1'))
    client.pipe(upstream)
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => void proxy.close())
  const { port } = proxy.address() as AddressInfo
  return server.url.replace(`${server.host}:${server.port}`, `127.0.0.1:${port}`)
}

test('an old RabbitMQ is refused, with the version that it has and the one that it takes', async () => {
  const server = await startRabbit()
  onTestFinished(() => server.remove())
  // The handshake's field `version`: a long string, its length in four bytes.
  const field = /(versionS[^]{4})\d\.(\d+)/
  const url = await saying(server, (said) =>
    said.replace(field, (_, key: string, minor: string) => `${key}3.${'9'.padStart(minor.length, '0')}`),
  )
  const opening = openBackend(url, { namespace: 'n' })
  await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: 'Use RabbitMQ 3.10 or newer.' })
  await expect(opening).rejects.toThrow(/RabbitMQ at amqp:.* is version 3\.0?9\./)
})

test('an old Redis is refused, with the version that it has and the one that it takes', async () => {
  const server = await startRedis()
  onTestFinished(() => server.remove())
  const url = await saying(server, (said) => said.replace(/(redis_version:)\d/, '$15'))
  const opening = openBackend(url, { namespace: 'n' })
  await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID', hint: 'Use Redis 6.2 or newer, or Valkey.' })
  await expect(opening).rejects.toThrow(/Redis at redis:.* is version 5/)
})
