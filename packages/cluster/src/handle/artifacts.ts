/**
 * Collected artifacts, copied where the caller wants them. Their names came from a machine and are hostile: nothing is
 * written outside the target, no link is followed at either end, and a file appears whole or not at all.
 */
import { MusterError } from '@muster/core'
import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isMissing } from './files.js'

/** An artifact of a job. */
export interface Artifact {
  /** Its name as the job left it, relative, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Where it lies now, absolute. */
  readonly file: string
}

/** The regular files below `directory`, sorted by path; none where it does not exist. */
export async function listArtifacts(directory: string, prefix = ''): Promise<Artifact[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  const found: Artifact[] = []
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = join(directory, entry.name)
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (entry.isDirectory()) found.push(...(await listArtifacts(file, path)))
    else if (entry.isFile()) found.push({ path, bytes: (await lstat(file)).size, file })
  }
  return found
}

/** Copies the artifacts of `from` below `target`, which is created. Files of the same name are replaced. Throws INVALID_ARGUMENT. */
export async function copyArtifacts(from: string, target: string): Promise<Artifact[]> {
  const root = resolve(target)
  await mkdir(root, { recursive: true })
  const copied: Artifact[] = []
  for (const artifact of await listArtifacts(from)) {
    await makeParents(root, dirname(artifact.path))
    const file = join(root, artifact.path)
    await copyWhole(artifact.file, file)
    copied.push({ ...artifact, file })
  }
  return copied
}

/** Creates the directories of `relative` below `root` one by one; what is there already must be a directory, not a link. */
async function makeParents(root: string, relative: string): Promise<void> {
  let at = root
  for (const part of relative.split('/').filter((name) => name !== '.')) {
    at = join(at, part)
    await mkdir(at).catch(async (error: unknown) => {
      if (!(await lstat(at)).isDirectory()) throw refused(at, error)
    })
  }
}

async function copyWhole(source: string, file: string): Promise<void> {
  const there = await lstat(file).catch(() => undefined)
  if (there && !there.isFile()) throw refused(file)
  const temporary = join(dirname(file), `.${basename(file).slice(0, 200)}.${process.pid}.part`)
  try {
    await copyFile(source, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function refused(path: string, cause?: unknown): MusterError {
  return new MusterError(
    'INVALID_ARGUMENT',
    `artifacts: ${path} is in the way and is not what an artifact may replace`,
    {
      hint: 'Choose an empty directory.',
      cause,
    },
  )
}
