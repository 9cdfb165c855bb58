/** The clock of this host: waits that end early only because they were aborted. */
import { describe, expect, it } from 'vitest'
import { abortReason, systemClock } from '../../src/clock.js'

describe('systemClock', () => {
  it('never sleeps too short by its own monotonic time', async () => {
    const start = systemClock.monotonic()
    await systemClock.sleep(20)
    // Timers count whole milliseconds.
    expect(systemClock.monotonic() - start).toBeGreaterThanOrEqual(19)
  })

  it('rejects at once where the signal is aborted already', async () => {
    await expect(systemClock.sleep(60_000, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })

  it("rejects with the signal's own reason when aborted on the way", async () => {
    const reason = new Error('closing')
    const controller = new AbortController()
    const sleep = systemClock.sleep(60_000, { signal: controller.signal })
    controller.abort(reason)
    await expect(sleep).rejects.toBe(reason)
  })

  it('calls back after a while, and not when cancelled', async () => {
    const called: string[] = []
    const cancel = systemClock.after(1, () => called.push('cancelled'))
    cancel()
    await new Promise<void>((resolve) => {
      systemClock.after(5, () => {
        called.push('kept')
        resolve()
      })
    })
    expect(called).toEqual(['kept'])
  })
})

describe('abortReason', () => {
  it('is an error whatever was given as the reason', () => {
    const reason = new TypeError('x')
    expect(abortReason(AbortSignal.abort(reason))).toBe(reason)
    expect(abortReason(AbortSignal.abort('stopped by hand'))).toMatchObject({
      name: 'AbortError',
      message: 'stopped by hand',
    })
    expect(abortReason(AbortSignal.abort(7))).toMatchObject({ name: 'AbortError' })
  })
})
