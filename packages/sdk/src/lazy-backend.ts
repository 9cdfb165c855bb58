/**
 * A backend that is reached by the first call that needs it. For processes that only read and record: looking at jobs, cancelling or
 * submitting must work while the broker is down, and must not wait for it while it is up.
 *
 * Invariant: nothing is cached but an open backend: where it could not be reached, the next call tries again.
 */
import { MusterError } from '@muster/core'
import type { BackendCapabilities, QueueBackend } from '@muster/orchestrator'

/** Wraps what opens a backend that will offer these capabilities. */
export function lazyBackend(capabilities: BackendCapabilities, open: () => Promise<QueueBackend>): QueueBackend {
  let opened: QueueBackend | undefined
  let opening: Promise<QueueBackend> | undefined
  let closed = false

  const reach = async (): Promise<QueueBackend> => {
    if (closed) throw new MusterError('BACKEND_CLOSED', 'the queue backend was closed')
    opening ??= open()
    try {
      const backend = await opening
      if (closed) await backend.close()
      // Standing deliveries, where it offers them: whoever consumes before that receives instead.
      if (backend.subscribe) lazy.subscribe = backend.subscribe.bind(backend)
      return (opened = backend)
    } catch (error) {
      opening = undefined
      throw error
    }
  }

  const lazy: QueueBackend = {
    capabilities,
    declare: async (...args) => (await reach()).declare(...args),
    publish: async (...args) => (await reach()).publish(...args),
    receive: async (...args) => (await reach()).receive(...args),
    settle: async (...args) => (await reach()).settle(...args),
    extend: async (...args) => (await reach()).extend(...args),
    counts: async (...args) => (await reach()).counts(...args),
    list: async () => (await reach()).list(),
    browseDead: async (...args) => (await reach()).browseDead(...args),
    redrive: async (...args) => (await reach()).redrive(...args),
    clean: async (...args) => (await reach()).clean(...args),
    setPaused: async (...args) => (await reach()).setPaused(...args),
    // Not waited for where it is still being reached: that ends by its own time limit, and closes it then.
    close: async () => {
      closed = true
      await opened?.close()
    },
  }
  return lazy
}
