/** Remove: the directories of attempts that are over, many in one round trip. */
import { MusterError } from '@muster/core'
import type { AttemptKey } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName } from './names.js'

/** See Launcher.remove. Throws ATTEMPT_RUNNING with their names (`kept`), after removing the others, when some still run or are not ours. */
export async function removeAttempts(
  shell: MachineShell,
  keys: readonly AttemptKey[],
  signal?: AbortSignal,
): Promise<void> {
  if (keys.length === 0) return
  const words = keys.flatMap((key) => [attemptName(key), key.token])
  const { stdout } = await shell.ask(() => `m_remove ${words.join(' ')}\n`, { signal })
  const said = stdout.toString().split('\n').filter(Boolean)
  if (said.length === 0) return
  const kept = said.map((line) => line.slice(line.indexOf(' ') + 1))
  throw new MusterError('ATTEMPT_RUNNING', `left alone: ${said.slice(0, 5).join(', ')}`, { details: { kept } })
}
