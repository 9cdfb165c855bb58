/**
 * A record inside a git work tree stays out of its commits. Only a directory that holds nothing but the record gets a
 * `.gitignore` of `*`; beside the files of others ours are named one by one; a `.gitignore` that is there is never touched.
 */
import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Keeps the record at `storePath` out of the work tree it lies in, if any. Never throws: it is a courtesy. */
export async function ignoreRecord(storePath: string): Promise<void> {
  const directory = dirname(storePath)
  if (!(await insideWorkTree(directory))) return
  const names = await readdir(directory).catch((): string[] => [])
  if (names.includes('.gitignore')) return
  const ours = [basename(storePath), 'files', 'mirrors']
  const alone = names.every((name) => ours.some((one) => name === one || name.startsWith(`${ours[0]}-`)))
  const text = alone ? '*\n' : ours.map((name) => `/${name}${name === ours[0] ? '*' : '/'}\n`).join('')
  // Exclusive: two processes that open one record write it once.
  const file = await open(join(directory, '.gitignore'), 'wx').catch(() => undefined)
  if (!file) return
  await file.writeFile(text).finally(() => file.close())
}

async function insideWorkTree(directory: string): Promise<boolean> {
  for (let at = directory; ; at = dirname(at)) {
    const found = await stat(join(at, '.git')).then(
      () => true,
      () => false,
    )
    if (found) return true
    if (dirname(at) === at) return false
  }
}
