/** One direction of a connection: bytes from a socket to another, under conditions that may change at any time. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a direction has to suffer; `changed` tells when it is to look again. */
export interface Conditions {
  held: boolean
  delayMs: number
  bytesPerSecond: number
  readonly changed: EventTarget
}

interface Arrived {
  readonly bytes: Buffer
  readonly at: number
}

/** How much may wait in a direction; beyond, the sender's own buffers fill, as before a slow line. */
const WAITING = 4 * 1024 * 1024
/** A throttled line brings a little, often, and not a second's worth at once. */
const SLICES_PER_SECOND = 50

/** Passes everything on, the end included, and returns; rejects when `signal` ends the connection. */
export async function pump(from: Socket, to: Socket, conditions: Conditions, signal: AbortSignal): Promise<void> {
  const line: Arrived[] = []
  const arrival = new EventTarget()
  let waiting = 0
  let over = false
  from.on('data', (bytes: Buffer) => {
    line.push({ bytes, at: performance.now() })
    waiting += bytes.length
    if (waiting > WAITING) from.pause()
    arrival.dispatchEvent(new Event('change'))
  })
  from.once('end', () => {
    over = true
    arrival.dispatchEvent(new Event('change'))
  })
  for (;;) {
    await free(conditions, signal)
    const next = line[0]
    if (next === undefined) {
      if (over) break
      await once(arrival, 'change', { signal })
      continue
    }
    const early = next.at + conditions.delayMs - performance.now()
    if (early > 0) {
      await pause(early, conditions, signal)
      continue
    }
    const part = slice(next.bytes, conditions.bytesPerSecond)
    if (part.length === next.bytes.length) line.shift()
    else line[0] = { bytes: next.bytes.subarray(part.length), at: next.at }
    waiting -= part.length
    if (waiting <= WAITING && from.isPaused()) from.resume()
    if (!to.write(part)) await once(to, 'drain', { signal })
    if (conditions.bytesPerSecond !== Infinity)
      await pause((part.length / conditions.bytesPerSecond) * 1_000, conditions, signal)
  }
  await new Promise<void>((resolve) => to.end(resolve))
}

/** Waits until bytes may pass. */
export async function free(conditions: Conditions, signal: AbortSignal): Promise<void> {
  while (conditions.held) await once(conditions.changed, 'change', { signal })
}

/** Sleeps, but no longer than the conditions stay as they are. */
async function pause(ms: number, conditions: Conditions, signal: AbortSignal): Promise<void> {
  const changed = new AbortController()
  const wake = (): void => changed.abort()
  conditions.changed.addEventListener('change', wake)
  try {
    await sleep(ms, undefined, { signal: AbortSignal.any([signal, changed.signal]) })
  } catch (error) {
    if (!changed.signal.aborted) throw error
  } finally {
    conditions.changed.removeEventListener('change', wake)
  }
}

function slice(bytes: Buffer, bytesPerSecond: number): Buffer {
  if (bytesPerSecond === Infinity) return bytes
  return bytes.subarray(0, Math.max(1, Math.floor(bytesPerSecond / SLICES_PER_SECOND)))
}
