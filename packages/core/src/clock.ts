/** Time, injected at the root so that tests decide it. Nothing in muster reads Date.now() or sets a timer past this seam. */
import { performance } from 'node:perf_hooks'

/** A source of time. */
export interface Clock {
  /** Wall time, epoch milliseconds: for records and people. Can jump. */
  now(): number
  /** Monotonic milliseconds of this process: for leases, timeouts and durations. Never jumps. */
  monotonic(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted. `unref` lets the process end meanwhile. */
  sleep(ms: number, options?: { signal?: AbortSignal | undefined; unref?: boolean }): Promise<void>
  /** Calls back after `ms`; the returned function cancels. The timer lets the process end meanwhile unless it is to be kept alive. */
  after(ms: number, callback: () => void, options?: { keepAlive?: boolean }): () => void
}

/** The clock of this host. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, { signal, unref = false } = {}) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal))
      const onAbort = (): void => {
        clearTimeout(timer)
        if (signal) reject(abortReason(signal))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      if (unref) timer.unref()
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
  after: (ms, callback, { keepAlive = false } = {}) => {
    const timer = setTimeout(callback, ms)
    if (!keepAlive) timer.unref()
    return () => {
      clearTimeout(timer)
    }
  },
}

/**
 * The reason with which our own waits are cut short, made once: an `abort()` without a reason makes a DOMException with its stack
 * each time, which was a tenth of the work per job.
 */
export const ENOUGH = new Error('no longer waited for')

/** The reason of an aborted signal as an Error: what every aborted call of muster rejects with. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error
    ? reason
    : new DOMException(typeof reason === 'string' ? reason : 'This operation was aborted', 'AbortError')
}
