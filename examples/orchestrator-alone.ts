/** Queues without the rest of muster. Run it with: npx tsx examples/orchestrator-alone.ts */
import { openOrchestrator } from '@muster/orchestrator'

async function main(): Promise<void> {
  const queues = await openOrchestrator({ backend: 'local' })
  await queues.publish('mail', { to: 'ada' })
  await queues.publish('mail', { to: 'alan' }, { priority: 9 })
  await queues.publish('mail', { to: 'grace' }, { delayMs: 200 })
  for (let letter; (letter = await queues.receiveMessage('mail', { waitMs: 1_000 }));) {
    console.log('sent', letter.body)
    await letter.ack() // or retry, release, dead
  }
  await queues.close()
}

void main()
