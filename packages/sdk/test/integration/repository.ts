/** Small git repositories for tests, with a configuration of their own. */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const WHO = {
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
}

/** Runs git in a directory; gives what it printed. Throws where it fails. */
export async function git(directory: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, GIT_CONFIG_NOSYSTEM: '1', ...WHO }
  const { stdout } = await run('git', ['-C', directory, ...args], { env })
  return stdout.trim()
}

/** Commits these files in a repository, which is made where it is missing. Gives the commit. */
export async function commit(directory: string, files: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(directory, { recursive: true })
  await git(directory, 'init', '-q', '-b', 'main')
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), text)
  }
  await git(directory, 'add', '-A')
  await git(directory, 'commit', '-q', '-m', 'a commit')
  return git(directory, 'rev-parse', 'HEAD')
}
