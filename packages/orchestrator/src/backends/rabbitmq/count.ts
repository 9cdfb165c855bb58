/** How full a queue is, as far as the server tells without its management plugin: what is ready and dead, at rest exactly. */
import type { QueueCounts } from '../../backend.js'
import { NOT_FOUND } from './errors.js'
import type { Line } from './line.js'
import type { Parts } from './parts.js'

/** Counts a queue. One that nobody used is empty, and counting it does not make it. */
export async function count(line: Line, { desk, registry, topology }: Parts): Promise<QueueCounts> {
  const { main, suspect, dead } = line.names
  const known = registry.get(line.name) !== undefined || (await registry.list()).includes(line.name)
  if (!known) return counted(0, 0, false)
  return desk.ask(
    `counting the queue '${line.name}'`,
    async (channel) => {
      const ready = (await channel.checkQueue(main)).messageCount + (await channel.checkQueue(suspect)).messageCount
      return counted(ready, (await channel.checkQueue(dead)).messageCount, line.paused)
    },
    {
      on: {
        [NOT_FOUND]: () => {
          topology.forget(line)
          return counted(0, 0, line.paused)
        },
      },
    },
  )
}

function counted(ready: number, dead: number, paused: boolean): QueueCounts {
  return { ready, delayed: undefined, leased: undefined, dead, oldestMs: ready === 0 ? null : undefined, paused }
}
