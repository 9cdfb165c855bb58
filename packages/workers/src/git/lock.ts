/**
 * A lock between processes of one host that a kill -9 of its holder cannot wedge, with nothing but files.
 *
 * The directory holds numbered files; the highest is the truth: it names the holder, or says that nobody holds. To acquire is
 * to create the next number, which exactly one process can (link is atomic, and content comes with it). A number below the
 * highest means nothing any more. Whoever creates one looks again: if a higher one exists, it was late. Invariant: the
 * highest number never shrinks, so a late one always finds out.
 */
import type { Clock } from '@muster/core'
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, readdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errno, ifMissing } from './errno.js'
import { isAlive, myself } from './process-identity.js'

/** Runs `work` while this process, and this call in it, holds the lock of `directory` (created 0700 where missing). */
export async function withFileLock<T>(
  directory: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const mine = await acquire(directory, clock, signal)
  try {
    return await work()
  } finally {
    await claim(directory, mine + 1, 'free')
  }
}

async function acquire(directory: string, clock: Clock, signal: AbortSignal): Promise<number> {
  const holder = await myself()
  for (;;) {
    signal.throwIfAborted()
    const top = await highest(directory)
    if ((await isFree(directory, top)) && (await claim(directory, top + 1, holder))) return top + 1
    await clock.sleep(20, { signal })
  }
}

/** Creates number `n`, unless somebody has, or a higher one exists. */
async function claim(directory: string, n: number, content: string): Promise<boolean> {
  const temporary = join(directory, `new-${randomUUID()}`)
  await writeFile(temporary, content, { mode: 0o600 })
  const created = await link(temporary, join(directory, String(n))).then(
    () => true,
    (error: unknown) => {
      if (errno(error) === 'EEXIST') return false
      throw error
    },
  )
  await unlink(temporary)
  if (!created) return false
  const numbers = await numbersIn(directory)
  if (Math.max(...numbers) > n) {
    await remove(directory, n)
    return false
  }
  await Promise.all(numbers.filter((number) => number < n).map((number) => remove(directory, number)))
  return true
}

async function isFree(directory: string, n: number): Promise<boolean> {
  if (n === 0) return true
  // Superseded and removed since we looked: the next round sees a higher one.
  const content = await readFile(join(directory, String(n)), 'utf8').catch(ifMissing(null))
  return content !== null && (content === 'free' || !(await isAlive(content)))
}

async function highest(directory: string): Promise<number> {
  return Math.max(0, ...(await numbersIn(directory)))
}

async function numbersIn(directory: string): Promise<number[]> {
  return (await readdir(directory)).filter((name) => /^\d+$/.test(name)).map(Number)
}

async function remove(directory: string, n: number): Promise<void> {
  await unlink(join(directory, String(n))).catch(ifMissing(undefined))
}
