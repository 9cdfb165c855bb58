/** What the parts of the facade share: one backend and what is written once for all queues on it. Invariant: nothing here is of one queue. */
import type { Clock, Logger } from '@muster/core'
import type { QueueBackend } from './backend.js'
import type { Events } from './events.js'
import type { Settler } from './settler.js'
import type { Statistics } from './statistics.js'
import type { Suspects } from './suspects.js'

/** The shared parts. */
export interface Engine {
  readonly backend: QueueBackend
  readonly clock: Clock
  readonly logger: Logger
  /** Yields [0, 1): the jitter of retries. */
  readonly random: () => number
  readonly events: Events
  readonly statistics: Statistics
  readonly settler: Settler
  readonly suspects: Suspects
}
