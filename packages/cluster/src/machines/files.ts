/** Files of the machine at hand. Invariant of a put: the name shows the old content or all of the new, also after a power cut. */
import { abortReason, MusterError, systemIds, type ByteSource } from '@muster/core'
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pieces } from './bytes.js'

/** See Transport.put. Throws MACHINE_UNUSABLE with what the system said. */
export async function putFile(
  path: string,
  content: ByteSource,
  { mode = 0o600, signal }: { mode?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const directory = dirname(path)
  const temporary = `${path}.${systemIds.token()}.tmp`
  await explained(mkdir(directory, { recursive: true, mode: 0o700 }), directory)
  try {
    await using file = await explained(open(temporary, 'wx', mode), path)
    await file.chmod(mode)
    for await (const piece of pieces(content)) {
      if (signal?.aborted) throw abortReason(signal)
      await explained(file.writeFile(piece), path)
    }
    await explained(file.sync(), path)
    await explained(rename(temporary, path), path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await synced(directory)
}

/** See Transport.get. Throws FILE_MISSING or MACHINE_UNUSABLE. */
export async function* readFileFrom(
  path: string,
  { offset = 0, length = Infinity, signal }: { offset?: number; length?: number; signal?: AbortSignal } = {},
): AsyncGenerator<Buffer> {
  await using file: FileHandle = await explained(open(path, 'r'), path)
  const { size } = await file.stat()
  const end = Math.min(size, offset + length)
  for (let at = offset; at < end;) {
    if (signal?.aborted) throw abortReason(signal)
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(Math.min(1 << 18, end - at)), 0, undefined, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function synced(directory: string): Promise<void> {
  await using handle = await explained(open(directory, 'r'), directory)
  await handle.sync()
}

async function explained<T>(work: Promise<T>, path: string): Promise<T> {
  try {
    return await work
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    if (code === 'ENOENT') {
      const hint = 'The path that the message names is wrong, or it was removed.'
      throw new MusterError('FILE_MISSING', `${path}: no such file`, { hint, cause: error })
    }
    throw new MusterError('MACHINE_UNUSABLE', `${path}: ${code}`, { hint: hintFor(code), cause: error })
  }
}

function hintFor(code: string): string {
  return code === 'ENOSPC' ? 'Make room on that disk.' : 'See that the path is yours and can be written.'
}
