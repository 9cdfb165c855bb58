/**
 * Hints: supervisors append a line to `events` when an attempt ends, and one `tail -F` per launcher follows it while somebody
 * listens. Lost with the connection and opened again; a slow poll by the caller covers the gap. A line may hold the whole exit
 * record: it is kept, a few moments, for the inspection that the hint calls for.
 */
import { isMusterError, quote, TaskGroup, type Clock, type Logger } from '@muster/core'
import { createInterface } from 'node:readline'
import { readLastWords } from './inspect.js'
import type { AttemptKey, HintListener, LauncherHints, Observation } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName, parseAttemptName } from './names.js'

/** A follower with an end. */
export interface HintSource extends LauncherHints {
  /** What was heard of an attempt's end, once; undefined where the machine has to be asked. */
  heard(key: AttemptKey): Observation | undefined
  close(): Promise<void>
}

const AGAIN_MS = 2_000
/** The file is emptied when a follower finds it longer: nobody reads old lines. */
const KEEP_BYTES = 1 << 20
/** Last words that nobody asked for are of other controllers' attempts. */
const KEEP_WORDS = 1_000

/** Follows the machine's `events` while there are listeners. */
export function hintSource(shell: MachineShell, clock: Clock, logger: Logger): HintSource {
  const listeners = new Set<HintListener>()
  const tasks = new TaskGroup((error) => logger.warn({ err: error }, 'hints of a machine stopped'))
  let stop: AbortController | undefined
  const lastWords = new Map<string, string>()
  const tell = (line: string): void => {
    const [name = '', ...words] = line.split(' ')
    const attempt = parseAttemptName(name)
    if (attempt && words.length > 0) {
      lastWords.set(name, words.join(' '))
      for (const oldest of lastWords.keys()) if (lastWords.size > KEEP_WORDS) lastWords.delete(oldest)
    }
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
    heard: (key) => {
      const name = attemptName(key)
      const words = lastWords.get(name)
      lastWords.delete(name)
      return words === undefined ? undefined : readLastWords(key, words)
    },
    close: async () => {
      listeners.clear()
      stop?.abort()
      await tasks.settled()
    },
  }
}

async function followOnce(shell: MachineShell, tell: (line: string) => void, signal: AbortSignal): Promise<void> {
  const { stateDir } = await shell.facts()
  const file = quote(`${stateDir}/events`)
  // The empty line, a hint at all of them, says from where it follows: an end before that is seen by the look that it calls for. tail would
  // outlive a killed controller until the next line; the end of its standard input comes at once, and ends both.
  const command =
    `s=$(stat -c %s ${file} 2>/dev/null) || s=0\n[ "$s" -le ${KEEP_BYTES} ] || { : >${file}; s=0; }\necho\n` +
    `tail -c +$((s+1)) -F ${file} 2>/dev/null & cat >/dev/null; kill $! 2>/dev/null`
  const stream = await shell.transport.open({ command }, { signal })
  const lines = createInterface({ input: stream })
  // A stream that is cut or destroyed has no end that readline would see.
  stream.once('error', () => undefined).once('close', () => lines.close())
  try {
    for await (const line of lines) tell(line)
  } finally {
    stream.destroy()
  }
}
