/**
 * The queues of a muster: the configured backend, with the queue of the record's wake-ups made in it.
 *
 * A process that schedules needs the backend: where it cannot be reached, opening fails at once instead of pretending. One that only
 * reads and records does not wait for it.
 */
import { WAKE_UPS_MAX, wakeUpQueue } from '@muster/cluster'
import type { BackendOptions, QueueBackend } from '@muster/orchestrator'
import { describeBackend, openBackend } from '@muster/orchestrator'
import type { Settings } from './config/settings.js'
import { lazyBackend } from './lazy-backend.js'

/** Opens the backend, or promises to. Throws CONFIG_INVALID, CLIENT_MISSING, BACKEND_UNAVAILABLE where `needed`. */
export async function openQueues(
  where: Settings['backend'],
  recordId: string,
  needed: boolean,
  { clock, ids, logger }: Pick<BackendOptions, 'clock' | 'ids' | 'logger'>,
): Promise<QueueBackend> {
  if (where === 'local') return openBackend(where, { clock, ids, logger })
  const reach = async (): Promise<QueueBackend> => {
    const backend = await openBackend(where, { clock, ids, logger })
    try {
      await backend.declare(wakeUpQueue(recordId), { limit: WAKE_UPS_MAX })
      return backend
    } catch (error) {
      await backend.close()
      throw error
    }
  }
  return needed ? reach() : lazyBackend(await describeBackend(where), reach)
}
