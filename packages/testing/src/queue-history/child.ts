/** An actor in a process of its own. It tells of each operation, and ends when it is told to or nobody listens any more. */
import type { JsonValue } from '@muster/core'
import { openBackend, type QueueBackend } from '@muster/orchestrator'
import { Actor, type Part } from './actor.js'
import { Journal } from './journal.js'

/** What the process is started with. */
export interface ActorOrders {
  readonly module?: string | undefined
  readonly config: JsonValue
  readonly namespace: string
  readonly directory: string
  readonly part: Part
}

interface Opening {
  open(namespace: string, config: JsonValue): Promise<QueueBackend>
}

/** The server may be away just now. */
async function open({ module, namespace, config }: ActorOrders): Promise<QueueBackend> {
  const opening = module === undefined ? undefined : ((await import(module)) as Opening)
  for (;;)
    try {
      if (opening) return await opening.open(namespace, config)
      return await openBackend(config as string, { namespace })
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'BACKEND_UNAVAILABLE')) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
}

const orders = JSON.parse(process.argv[2] ?? '{}') as ActorOrders
const stop = new AbortController()
process.on('message', () => stop.abort())
process.on('disconnect', () => process.exit(0))
const backend = await open(orders)
const actor = new Actor(backend, orders.part, new Journal(orders.directory, orders.part.name))
await actor.act(() => process.send?.('done'), stop.signal)
await backend.close()
process.disconnect()
