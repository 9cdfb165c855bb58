/** Waiting for something that may come too late, without a trace of the wait. */
import { once } from 'node:events'
import { ENOUGH } from '@muster/core'

/** The outcome of `work`, or what `late` makes when the signal is aborted before it. `work` may then end as it likes. */
export async function inTime<T>(work: Promise<T>, signal: AbortSignal, late: () => Error): Promise<T> {
  work.catch(() => undefined)
  if (signal.aborted) throw late()
  const over = new AbortController()
  const timeUp = once(signal, 'abort', { signal: over.signal }).then(() => Promise.reject(late()))
  timeUp.catch(() => undefined)
  try {
    return await Promise.race([work, timeUp])
  } finally {
    over.abort(ENOUGH)
  }
}
