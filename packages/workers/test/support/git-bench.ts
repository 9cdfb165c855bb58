/** A directory of one test: repositories, a worker with its mirrors, machines, attempts. All of it goes when the test ends. */
import { silentLogger, systemIds, type JsonValue, type LaunchPlan, type MachineAccess, type Worker } from '@muster/core'
import { gitWorker, type GitInput, type GitWorkerOptions } from '@muster/workers'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { execute, machineAt, runPlan, type Ran } from './machine.js'

/** The fixture of one test. */
export interface Bench {
  readonly root: string
  readonly home: string
  readonly mirrors: string
  readonly worker: Worker
  readonly local: MachineAccess
  readonly other: MachineAccess
  readonly progress: string[]
  path(name: string): string
  /** Runs git in `directory` with a quiet configuration; gives its output. Throws when it fails. */
  git(directory: string, ...args: string[]): Promise<string>
  /** A repository with these files in one commit; gives its path. */
  repository(name: string, files: Readonly<Record<string, string>>, options?: { format?: string }): Promise<string>
  commit(repository: string, files: Readonly<Record<string, string>>): Promise<string>
  resolve(input: GitInput): Promise<JsonValue>
  prepare(payload: JsonValue, machine?: MachineAccess): Promise<LaunchPlan>
  /** Prepares and runs. */
  launch(payload: JsonValue, machine?: MachineAccess): Promise<Ran>
}

/** Makes the fixture. */
export async function gitBench(options: Partial<GitWorkerOptions> = {}): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), 'muster-test-git-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  const path = (name: string): string => join(root, name)
  const home = path('home')
  for (const name of ['home', 'state', 'other-state']) await mkdir(path(name), { mode: 0o700 })
  const mirrors = path('mirrors')
  const worker = gitWorker({ mirrorsDirectory: mirrors, ...options })
  const local = machineAt(path('state'), { isLocal: true, home })
  const other = machineAt(path('other-state'), { isLocal: false, home })
  const progress: string[] = []
  const context = {
    signal: new AbortController().signal,
    logger: silentLogger,
    progress: (text: string): void => void progress.push(text),
  }
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: path('nowhere'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@example.org',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@example.org',
  }
  const git = async (directory: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await execute(['git', ...args], { cwd: directory, env, stdin: '' })
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.toString()}`)
    return stdout.toString().trim()
  }
  const commit = async (repository: string, files: Readonly<Record<string, string>>): Promise<string> => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(repository, name)), { recursive: true })
      await writeFile(join(repository, name), content)
    }
    await git(repository, 'add', '-A')
    await git(repository, 'commit', '-q', '--allow-empty', '-m', 'a commit')
    return git(repository, 'rev-parse', 'HEAD')
  }
  const prepare: Bench['prepare'] = (payload, machine = local) =>
    worker.prepare({ id: 'job', attempt: 1, payload, gpus: [] }, machine, context)
  return {
    ...{ root, home, mirrors, worker, local, other, progress, path, git, commit, prepare },
    repository: async (name, files, { format = 'sha1' } = {}) => {
      await git(root, 'init', '-q', '-b', 'main', `--object-format=${format}`, '--', path(name))
      await commit(path(name), files)
      return path(name)
    },
    resolve: async (input) => worker.resolve(JSON.parse(JSON.stringify(input)) as JsonValue, context),
    launch: async (payload, machine) =>
      runPlan(await prepare(payload, machine), join(root, 'attempts', systemIds.next()), home),
  }
}
