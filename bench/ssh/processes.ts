/** The peers that are OpenSSH processes: one for each command, or many commands over one that stays connected. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ends } from '../launch/hand-supervisor.js'

/** Runs a command there in an `ssh` process of its own, to its good end. */
export function sshEach(ssh: readonly string[]): (command: string) => Promise<void> {
  return (command) => ends('ssh', [...ssh, 'bench', command], ['ignore', 'ignore', 'inherit'])
}

/** Runs a command there in an `ssh` process of its own. Gives the milliseconds to the first line it prints; ends when it does. */
export async function msToFirstLine(ssh: readonly string[], command: string, expected: string): Promise<number> {
  const start = performance.now()
  const child = spawn('ssh', [...ssh, 'bench', command], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let ms: number | undefined
  let first: string | undefined
  for await (const line of createInterface(child.stdout)) {
    ms ??= performance.now() - start
    first ??= line
  }
  await closed
  if (ms === undefined || first !== expected) throw new Error(`ssh ${command}: the first line was ${String(first)}`)
  return ms
}

/** An `ssh` that stays connected, through which others reach the machine without a login (ControlMaster). */
export interface Master {
  /** Arguments for an `ssh` that goes through it. */
  readonly ssh: readonly string[]
  close(): Promise<void>
}

/** Opens one; it answers when this resolves. Whoever opens closes. */
export async function openMaster(directory: string, ssh: readonly string[]): Promise<Master> {
  const through = [...ssh, '-o', `ControlPath=${join(directory, 'master')}`]
  const master = spawn('ssh', [...through, '-M', '-N', 'bench'], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(master, 'exit')
  const check = (): Promise<boolean> =>
    ends('ssh', [...through, '-O', 'check', 'bench'], 'ignore').then(
      () => true,
      () => false,
    )
  while (!(await check())) if (master.exitCode !== null) throw new Error(`ssh -M ended with ${master.exitCode}`)
  return {
    ssh: through,
    close: async () => {
      master.kill()
      await exited
    },
  }
}
