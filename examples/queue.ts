/**
 * Queues alone, in ten lines. Beside @muster/orchestrator it needs ioredis for Redis, amqplib for RabbitMQ, nothing for `local`.
 * Run it with: npx tsx examples/queue.ts redis://localhost:6379
 */
import { once } from 'node:events'
import { openOrchestrator } from '@muster/orchestrator'

const queues = await openOrchestrator({ backend: process.argv[2] ?? process.env['MUSTER_BACKEND'] ?? 'local' })
const end = new AbortController()
queues.on('dead', () => end.abort())
await queues.publishMany('mail', [{ body: { to: 'ada' } }, { body: { to: 'alan' }, priority: 9 }, { body: 'nobody' }])
queues.consume('mail', (delivery) => {
  if (delivery.body === 'nobody') return delivery.dead('no such address') // a throw would retry, later and later
  console.log('sent', delivery.body)
})
await once(end.signal, 'abort')
for await (const { body, detail } of queues.eachDeadLetter('mail')) console.log('dead', body, detail)
await queues.cleanQueue('mail', { state: 'dead' })
await queues.close() // takes no more, lets the handlers finish
