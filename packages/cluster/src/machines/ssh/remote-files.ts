/**
 * Files of an SSH machine, through scripts on the control channels: no sftp server is needed there, and no further session.
 * Invariant of a put: the name shows the old content or all of the new; only a second script, sent when every byte has
 * arrived, gives the file its name, because a payload that is cut off looks complete to the shell.
 */
import { isMusterError, MusterError, quote, type ByteSource, type RunResult } from '@muster/core'
import type { ScriptRequest } from '../channel.js'

/** Runs scripts on the machine. */
export interface ScriptRunner {
  run(request: ScriptRequest): Promise<RunResult>
  /** Resolves when what aborted scripts left there was killed. */
  quiet(): Promise<void>
  /** Work that nobody waits for but the end of the transport. */
  later(chore: () => Promise<void>): void
}

const PIECE = 4 << 20
const MISSING = 44

/** See Transport.put. Throws MACHINE_UNUSABLE with what the machine said, TRANSPORT_LOST. */
export async function putRemote(
  runner: ScriptRunner,
  path: string,
  content: ByteSource,
  { mode = 0o600, signal, token }: { mode?: number; signal?: AbortSignal | undefined; token: string },
): Promise<void> {
  const temporary = `${path}.${token}.tmp`
  const directory = path.replace(/[^/]*$/, '') || '/'
  const [file, name, parent] = [quote(temporary), quote(path), quote(directory)]
  try {
    const bring = `umask 077; mkdir -p ${parent} && cat >${file} && chmod ${mode.toString(8)} ${file} && sync ${file}`
    complain(path, await runner.run({ script: bring, stdin: content, signal }))
    complain(path, await runner.run({ script: `mv -f ${file} ${name} && sync ${parent}`, signal }))
  } catch (error) {
    // Whatever went wrong is what the caller should hear of; the next sweep finds a file that could not be removed.
    const tidy = async (): Promise<void> => {
      await runner.quiet()
      await runner.run({ script: `rm -f ${file}` }).catch(() => undefined)
    }
    // Who aborts does not wait, and behind a connection that was lost there may be nobody to tidy up.
    if (signal?.aborted || isMusterError(error, 'TRANSPORT_LOST')) runner.later(tidy)
    else await tidy()
    throw error
  }
}

/** See Transport.get. Throws FILE_MISSING, MACHINE_UNUSABLE, TRANSPORT_LOST. */
export async function* getRemote(
  runner: ScriptRunner,
  path: string,
  {
    offset = 0,
    length = Infinity,
    signal,
  }: { offset?: number; length?: number; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Buffer> {
  const file = quote(path)
  let identity: string | undefined
  let end = Infinity
  for (let at = offset; at < end;) {
    const count = Math.min(PIECE, Math.min(end, offset + length) - at)
    const script =
      `[ -e ${file} ] || exit ${MISSING}; stat -Lc '%i %s' ${file} >&2 && ` +
      `dd if=${file} bs=65536 iflag=fullblock,skip_bytes,count_bytes skip=${at} count=${count} 2>/dev/null`
    const { code, stdout, stderr } = await runner.run({ script, signal })
    if (code === MISSING) throw missing(path)
    const [inode = '', size = ''] = stderr.toString().trim().split(' ')
    if (code !== 0 || !/^\d+$/.test(size)) complain(path, { code: code || 1, signal: null, stdout, stderr })
    if (identity === undefined) end = Math.min(Number(size), offset + length)
    else if (identity !== inode) throw new MusterError('FILE_MISSING', `${path}: it was replaced while it was read`)
    identity = inode
    // The first answer may hold bytes that were appended after its size was read: they are not part of what was asked for.
    const bytes = stdout.subarray(0, Math.max(0, end - at))
    if (bytes.length > 0) yield bytes
    if (bytes.length < count) return
    at += bytes.length
  }
}

function complain(path: string, { code, signal, stderr }: RunResult): void {
  if (code === 0) return
  const said = stderr.toString().trim().slice(-300) || `ended with ${signal ?? code}`
  if (/No such file/i.test(said)) throw missing(path)
  const hint = /No space left|quota/i.test(said)
    ? 'Make room on that disk.'
    : 'See that the path is yours and can be written.'
  throw new MusterError('MACHINE_UNUSABLE', `${path}: ${said}`, { hint })
}

function missing(path: string): MusterError {
  return new MusterError('FILE_MISSING', `${path}: no such file`, {
    hint: 'The path that the message names is wrong, or it was removed.',
  })
}
