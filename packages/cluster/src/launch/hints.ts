/**
 * Hints: supervisors append a line to `events` when an attempt ends, and one `tail -F` per launcher follows it while somebody
 * listens. Lost with the connection and opened again; a slow poll by the caller covers the gap.
 */
import { isMusterError, quote, TaskGroup, type Clock, type Logger } from '@muster/core'
import { createInterface } from 'node:readline'
import type { HintListener, LauncherHints } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { parseAttemptName } from './names.js'

/** A follower with an end. */
export interface HintSource extends LauncherHints {
  close(): Promise<void>
}

const AGAIN_MS = 2_000
/** The file is emptied when a follower finds it longer: nobody reads old lines. */
const KEEP_BYTES = 1 << 20

/** Follows the machine's `events` while there are listeners. */
export function hintSource(shell: MachineShell, clock: Clock, logger: Logger): HintSource {
  const listeners = new Set<HintListener>()
  const tasks = new TaskGroup((error) => logger.warn({ err: error }, 'hints of a machine stopped'))
  let stop: AbortController | undefined
  const tell: HintListener = (attempt) => {
    for (const listener of listeners) listener(attempt)
  }
  const follow = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        await followOnce(shell, tell, signal)
      } catch (error) {
        if (isMusterError(error, 'TRANSPORT_CLOSED')) return
        if (!signal.aborted) logger.debug({ err: error }, 'hints of a machine are interrupted')
      }
      await clock.sleep(AGAIN_MS, { signal, unref: true }).catch(() => undefined)
    }
  }
  return {
    onHint: (listener) => {
      listeners.add(listener)
      if (!stop) {
        const { signal } = (stop = new AbortController())
        tasks.run(() => follow(signal))
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0) return
        stop?.abort()
        stop = undefined
      }
    },
    close: async () => {
      listeners.clear()
      stop?.abort()
      await tasks.settled()
    },
  }
}

async function followOnce(shell: MachineShell, tell: HintListener, signal: AbortSignal): Promise<void> {
  const { stateDir } = await shell.facts()
  const file = quote(`${stateDir}/events`)
  // tail would outlive a killed controller until the next line; the end of its standard input comes at once, and ends both.
  const command =
    `s=$(stat -c %s ${file} 2>/dev/null) && [ "$s" -gt ${KEEP_BYTES} ] && : >${file}\n` +
    `tail -n0 -F ${file} 2>/dev/null & cat >/dev/null; kill $! 2>/dev/null`
  const stream = await shell.transport.open({ command }, { signal })
  tell()
  try {
    for await (const line of createInterface({ input: stream })) {
      const name = parseAttemptName(line)
      if (name) tell(name)
      else tell()
    }
  } finally {
    stream.destroy()
  }
}
