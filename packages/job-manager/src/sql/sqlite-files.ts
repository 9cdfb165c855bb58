/**
 * The files of an SQLite record: made for us alone, on a disk that SQLite's locks work on, and still the ones we opened.
 *
 * Invariant: nothing here ever opens a file that SQLite may have open. Closing such a descriptor drops the locks of the whole
 * process, another process then removes the log, and commits that we answered are lost. `stat` and `wx` (which fails without
 * opening what exists) are safe.
 */
import { MusterError } from '@muster/core'
import { readFileSync, statSync } from 'node:fs'
import { mkdir, open, realpath, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { storeError } from './sqlite-errors.js'

const NETWORK: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB',
  0x01021997: '9p',
  0x00c36400: 'Ceph',
  0x5346414f: 'AFS',
  0x0bd00bd0: 'Lustre',
}
const FUSE = 0x65735546
const REMOTE_FUSE = /^fuse\.(sshfs|rclone|s3fs|gcsfuse|glusterfs|ceph|davfs)/

/** Tells the type of the file system that holds a directory, as statfs(2) does. */
export type FileSystemType = (directory: string) => Promise<number>

const systemType: FileSystemType = async (directory) => (await statfs(directory)).type

/** The name of the network file system that holds `directory`, undefined on a local one. */
export async function networkFileSystem(directory: string, typeOf = systemType): Promise<string | undefined> {
  // statfs gives a signed number on some platforms.
  const type = (await typeOf(directory)) >>> 0
  if (type !== FUSE) return NETWORK[type]
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const holding = mounts
    .map((line) => line.split(' '))
    .filter(([, at = '']) => directory === at || directory.startsWith(at.endsWith('/') ? at : `${at}/`))
    .sort(([, a = ''], [, b = '']) => b.length - a.length)[0]
  return holding?.[2] !== undefined && REMOTE_FUSE.test(holding[2]) ? holding[2] : undefined
}

/**
 * Makes the file ready to be opened: its directory exists (created 0700 with one level of parents only when asked), it is on a
 * local disk, and it exists, 0600 when new. Gives its real path.
 */
export async function prepareFile(
  path: string,
  options: { readonly createDirectory: boolean; readonly typeOf?: FileSystemType },
): Promise<string> {
  const wanted = resolve(path)
  try {
    if (options.createDirectory) await mkdir(dirname(wanted), { recursive: true, mode: 0o700 })
    const directory = await realpath(dirname(wanted))
    const network = await networkFileSystem(directory, options.typeOf)
    if (network !== undefined)
      throw new MusterError('STORE_ON_NETWORK_FS', `${wanted} lies on ${network}, where SQLite's locks do not hold`)
    await create(join(directory, basename(wanted)))
    // A link to the file: the log lies beside its target, so the target's name is the one to use.
    const file = await realpath(wanted)
    if (!(await stat(file)).isFile()) throw new MusterError('STORE_CORRUPT', `${file} is not a file`)
    return file
  } catch (error) {
    throw storeError(error, wanted)
  }
}

async function create(file: string): Promise<void> {
  try {
    await (await open(file, 'wx', 0o600)).close()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

/** A file's identity, `''` where there is none: what stays the same while it is not replaced. */
export function fileIdentity(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat ? `${stat.dev}:${stat.ino}` : ''
}
