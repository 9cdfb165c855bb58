/** Logs: a piece of a log by byte offset. The log is a file, so a reader that was cut off goes on where it was. */
import { MusterError, systemIds } from '@muster/core'
import type { AttemptKey, LogChunk } from './launcher.js'
import { LineReader } from './line-reader.js'
import type { MachineShell } from './machine-shell.js'
import { attemptName } from './names.js'

/** See Launcher.logs. */
export async function readLog(
  shell: MachineShell,
  key: AttemptKey,
  { offset, maxBytes }: { offset: number; maxBytes: number },
  signal?: AbortSignal,
): Promise<LogChunk> {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new MusterError('INVALID_ARGUMENT', 'offset: expected a byte position')
  const name = attemptName(key)
  const nonce = systemIds.token()
  const read = `dd if=${name}/log bs=65536 skip=${offset} count=${Math.ceil(maxBytes)} iflag=skip_bytes,count_bytes,fullblock 2>/dev/null`
  const script =
    `m_look ${name} ${key.token}\nprintf '%s\\n' $m_st\ncase $m_st in foreign|absent) exit 0;; esac\n` +
    `[ -f ${name}/log ] && [ ! -L ${name}/log ] || exit 0\nstat -c %s ${name}/log\n${read}\nprintf '\\n${nonce}\\n'\n`
  const { stdout } = await shell.ask(() => script, { signal })
  const reader = new LineReader(stdout, nonce)
  if (reader.line() === 'foreign')
    throw new MusterError('ATTEMPT_SUPERSEDED', `${name} exists on the machine under another token`)
  const size = Number(reader.line()) || 0
  const bytes = reader.untilNonce()
  return { bytes, size: Math.max(size, bytes.length > 0 ? offset + bytes.length : 0) }
}
