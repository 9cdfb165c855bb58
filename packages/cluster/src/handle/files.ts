/** Collected files: where the log, result and artifacts of an attempt lie on this host, and what it means when they do not. */
import { MusterError } from '@muster/core'
import type { AttemptRecord } from '@muster/job-manager'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { attemptFiles } from '../leader/collecting.js'
import type { HandleDeps } from './deps.js'

type Place = Pick<HandleDeps, 'filesDirectory' | 'host'>

/**
 * The directory of an attempt's collected files. Throws FILE_ELSEWHERE where another host holds them and they are not
 * shared with this one, FILE_MISSING where they should be here and are not.
 */
export async function collectedDirectory(place: Place, attempt: AttemptRecord): Promise<string> {
  const directory = join(place.filesDirectory, attemptFiles({ jobId: attempt.jobId, attempt: attempt.number }))
  if (await exists(directory)) return directory
  const what = `the files of job ${attempt.jobId}, attempt ${attempt.number}`
  const host = attempt.files?.host
  if (host !== undefined && host !== place.host)
    throw new MusterError('FILE_ELSEWHERE', `${what} lie on ${host}: ${attempt.files?.directory ?? ''}`, {
      details: { host, directory: attempt.files?.directory ?? null },
    })
  throw new MusterError('FILE_MISSING', `${what} should lie in ${directory} and do not`, { details: { directory } })
}

/** Reads a collected file from `offset` to its end in pieces of at most 256 KiB. A file that was never written is empty. */
export async function* readFrom(path: string, offset: number): AsyncGenerator<Buffer, void, undefined> {
  const file = await openIfThere(path)
  if (!file) return
  try {
    for (let at = offset; ;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(256 * 1024), 0, undefined, at)
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Whether a file system error says that there is nothing of that name. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
