/**
 * Stop: the wish lies in a file before the signal is sent, so a supervisor that is between two steps finds it. The signal is
 * repeated until the machine's record says that it is over. What never started has its claim taken.
 */
import { abortReason, MusterError, type Clock } from '@muster/core'
import { inspectAttempts } from './inspect.js'
import type { AttemptKey, Observation, StopOutcome } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName, markOf } from './names.js'
import { SUPERVISOR_HASH } from './supervisor/index.js'

/** Beyond the grace: time that KILL and the last write may take before we call it unresponsive. */
const SLACK_MS = 10_000
const AGAIN_MS = 500

/** See Launcher.stop. */
export async function stopAttempt(
  shell: MachineShell,
  key: AttemptKey,
  options: { graceMs: number; reason: 'cancelled' | 'timeout'; clock: Clock },
  signal?: AbortSignal,
): Promise<StopOutcome> {
  const { clock, graceMs } = options
  const giveUpAt = clock.monotonic() + graceMs + SLACK_MS
  let askAgainAt = 0
  for (let pauseMs = 15; ; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    if (clock.monotonic() >= askAgainAt) {
      if ((await askToStop(shell, key, options, signal)) === 'foreign') throw foreign(key)
      askAgainAt = clock.monotonic() + AGAIN_MS
    }
    const [seen] = await inspectAttempts(shell, [key], clock, signal)
    const outcome = seen && judge(seen)
    if (outcome) return outcome
    if (clock.monotonic() > giveUpAt) return unresponsive(key, seen)
    if (signal?.aborted) throw abortReason(signal)
    await clock.sleep(pauseMs, { signal })
  }
}

async function askToStop(
  shell: MachineShell,
  key: AttemptKey,
  { graceMs, reason, clock }: { graceMs: number; reason: string; clock: Clock },
  signal?: AbortSignal,
): Promise<string> {
  const words = [
    attemptName(key),
    key.token,
    '-',
    markOf(key.token),
    Math.round(clock.now()),
    reason,
    Math.ceil(graceMs / 10),
  ]
  const { stdout } = await shell.ask(() => `m_stop ${words.join(' ')} ${SUPERVISOR_HASH}\n`, { signal })
  return stdout.toString().split(' ')[0] ?? ''
}

function judge(seen: Observation): StopOutcome | undefined {
  if (seen.status === 'exited') {
    return seen.exit.stuck.length > 0 ? { left: 'stuck', pids: seen.exit.stuck } : { left: 'nothing' }
  }
  return seen.status === 'gone' && seen.survivors.length === 0 ? { left: 'nothing' } : undefined
}

function unresponsive(key: AttemptKey, seen: Observation | undefined): StopOutcome {
  if (seen?.status === 'gone') return { left: 'stuck', pids: seen.survivors }
  throw new MusterError('MACHINE_UNUSABLE', `${attemptName(key)}: its supervisor does not answer`, { retryable: true })
}

function foreign(key: AttemptKey): MusterError {
  return new MusterError('ATTEMPT_SUPERSEDED', `${attemptName(key)} exists on the machine under another token`)
}
