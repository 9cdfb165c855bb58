/**
 * Ctrl-C in stages, for a command that follows a job: the first leaves the job running (after a moment in which a second one
 * can still mean "cancel it"), the second cancels and waits, the third leaves whatever the state.
 */
import type { Clock } from '@muster/core'

/** How long a second Ctrl-C is waited for, in milliseconds. */
export const SECOND_CHANCE_MS = 3_000

/** The signals by which a person, a shell or a terminal that goes away ends a command. */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What the stages do. */
export interface Stages {
  /** The first Ctrl-C: says how to come back. */
  readonly first: () => void
  /** The second one: cancels. */
  readonly cancel: () => void
  /** Nothing more is waited for: no second Ctrl-C came, a third one did, or the terminal went away. */
  readonly leave: () => void
}

/**
 * For a command that only waits: the first signal closes (a lease is given back at once instead of after ten seconds), then ends
 * the process as if nobody had listened. Listens until the returned function is called.
 */
export function closeOnSignal(close: () => Promise<void>): () => void {
  const dismiss = (): void => {
    for (const signal of SIGNALS) process.off(signal, end)
  }
  const end = (signal: NodeJS.Signals): void => {
    dismiss()
    void close().finally(() => process.kill(process.pid, signal))
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return dismiss
}

/** Listens for signals until the returned function is called. */
export function onInterrupts(clock: Clock, stages: Stages): () => void {
  let count = 0
  let dismiss = (): void => undefined
  const interrupt = (): void => {
    count++
    dismiss()
    if (count === 1) {
      stages.first()
      dismiss = clock.after(SECOND_CHANCE_MS, stages.leave)
    } else if (count === 2) stages.cancel()
    else stages.leave()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', stages.leave)
  process.on('SIGHUP', stages.leave)
  return () => {
    dismiss()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', stages.leave)
    process.off('SIGHUP', stages.leave)
  }
}
