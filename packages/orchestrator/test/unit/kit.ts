/** What the tests of the facade share: a local backend that can be made to fail, and ways to wait. */
import { MusterError } from '@muster/core'
import { onTestFinished, vi } from 'vitest'
import type { QueueBackend, RawDelivery } from '../../src/backend.js'
import { openBackend, openOrchestrator } from '../../src/open.js'
import type { OrchestratorOptions } from '../../src/options.js'
import type { Orchestrator } from '../../src/orchestrator.js'

/** Waits until the expectation holds. */
export function eventually(expectation: () => unknown): Promise<unknown> {
  return vi.waitFor(expectation, { timeout: 15_000, interval: 10 })
}

/** A gate that a handler can wait at. */
export function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

/** Resolves with the reason when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true })
  })
}

/** The counts of a queue that holds nothing. */
export const empty = { ready: 0, delayed: 0, leased: 0, dead: 0 }

/** The calls whose way to the backend can be cut. */
type Cut = 'receive' | 'settle' | 'extend'

/** A local backend behind a way that can be cut: each call through it is counted, and fails while its name is in `cut`. */
export interface Bench {
  readonly backend: QueueBackend
  readonly q: Orchestrator
  readonly cut: Set<Cut>
  readonly calls: { receive: number[]; settle: number[]; extend: number[] }
  /** What the next receives that bring something wait for before they bring it. */
  readonly slow: ((first: RawDelivery) => Promise<unknown>)[]
}

/** Opens an orchestrator on such a backend for the running test. */
export async function start(options: Omit<OrchestratorOptions, 'backend'> = {}): Promise<Bench> {
  const local = await openBackend('local')
  const cut = new Set<Cut>()
  const calls: Bench['calls'] = { receive: [], settle: [], extend: [] }
  const slow: Bench['slow'] = []
  const pass = (name: Cut, size: number): void => {
    calls[name].push(size)
    if (cut.has(name)) throw new MusterError('BACKEND_UNAVAILABLE', `${name}: cut`)
  }
  const backend: QueueBackend = {
    ...local,
    receive: async (request) => {
      pass('receive', request.max)
      const deliveries = await local.receive(request)
      if (deliveries[0]) await slow.shift()?.(deliveries[0])
      return deliveries
    },
    settle: async (batch) => {
      pass('settle', batch.length)
      return local.settle(batch)
    },
    extend: async (batch) => {
      pass('extend', batch.length)
      return local.extend(batch)
    },
  }
  await backend.declare('q', { maxTries: 3 })
  const q = await openOrchestrator({ backend, ...options })
  onTestFinished(async () => {
    cut.clear()
    await q.close({ drainMs: 0, graceMs: 0 })
    await local.close()
  })
  return { backend, q, cut, calls, slow }
}
