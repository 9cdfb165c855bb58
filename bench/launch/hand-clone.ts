/** The peer of a git job's start: a clone that borrows its objects, checked out, and the command spawned in it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ends } from './hand-supervisor.js'

const FILES_PER_DIRECTORY = 100

/** Makes a repository of `files` small files in one commit, packed. */
export async function makeRepository(directory: string, files: number): Promise<void> {
  for (let index = 0; index < files; index += 1) {
    const folder = join(directory, `part-${Math.floor(index / FILES_PER_DIRECTORY)}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `file-${index}.txt`), `file ${index}\n${`${index * 7919} `.repeat(100)}\n`)
  }
  const identity = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost']
  const git = (...args: string[]): Promise<void> => ends('git', ['-C', directory, ...identity, ...args])
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '--all')
  await git('commit', '--quiet', '--message=all files')
  await git('repack', '-a', '-d', '--quiet')
}

/** Clones, checks out and runs `command` there. Resolves with the first line it prints, once that is here. */
export async function cloneAndRun(repository: string, target: string, command: readonly string[]): Promise<string> {
  await ends('git', ['clone', '--quiet', '--shared', repository, target])
  const [file = '', ...args] = command
  const child = spawn(file, args, { cwd: target, stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return line
}

/** Removes a clone. */
export function removeClone(target: string): void {
  rmSync(target, { recursive: true, force: true })
}
