/** A clock whose timers wait for the test: nothing that is due later happens unless time is made to pass. */
import { systemClock, type Clock } from '@muster/core'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** A clock, and how time passes on it, milliseconds. Sleeps are real: only `after` and `monotonic` are moved. */
export interface MovedClock {
  readonly clock: Clock
  /** Lets time pass at once. */
  pass(ms: number): void
  /** Lets half a second pass, again and again with a moment in between, until `work` has settled; how long it took, milliseconds. */
  until(work: Promise<unknown>): Promise<number>
  /** How many timers wait. */
  timers(): number
}

/** Makes one. */
export function movedClock(): MovedClock {
  const timers = new Set<Timer>()
  let now = 0
  const clock: Clock = {
    ...systemClock,
    monotonic: () => now,
    after: (ms, callback) => {
      const timer = { at: now + ms, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
  }
  const pass = (ms: number): void => {
    const until = now + ms
    for (;;) {
      const [next] = [...timers].sort((a, b) => a.at - b.at)
      if (!next || next.at > until) break
      now = next.at
      timers.delete(next)
      next.callback()
    }
    now = until
  }
  const until = async (work: Promise<unknown>): Promise<number> => {
    const began = now
    const settled = work.then(
      () => true,
      () => true,
    )
    while (!(await Promise.race([settled, systemClock.sleep(30).then(() => false)]))) pass(500)
    return now - began
  }
  return { clock, pass, until, timers: () => timers.size }
}
