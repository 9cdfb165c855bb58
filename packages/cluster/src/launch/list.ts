/** List: every attempt directory of a record, with its token, for a leader that adopts. */
import type { AttemptKey } from './launcher.js'
import type { MachineShell } from './machine-shell.js'
import { parseAttemptName, word } from './names.js'

/** See Launcher.list. What cannot be read comes with `ok: false`, under its directory's name where that is not ours either. */
export async function listAttempts(
  shell: MachineShell,
  recordId: string,
  epoch: number | undefined,
  signal?: AbortSignal,
): Promise<readonly { readonly key: AttemptKey; readonly ok: boolean }[]> {
  const words = `${word(recordId, 'recordId')} ${epoch === undefined ? '-' : String(epoch)}`
  const { stdout } = await shell.ask(() => `m_list ${words}\n`, { signal })
  return stdout
    .toString()
    .split('\n')
    .flatMap((line) => {
      const match = /^(ok|bad) (\S+) (.+)$/.exec(line)
      if (!match) return []
      const [, verdict, token = '', name = ''] = match
      const named = parseAttemptName(name)
      const key = { jobId: named?.jobId ?? name, attempt: named?.attempt ?? 0, token: token === '-' ? '' : token }
      return [{ key, ok: verdict === 'ok' && named !== undefined }]
    })
}
