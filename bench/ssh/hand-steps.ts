/**
 * The supervisor's bare steps (../launch/hand-supervisor.ts, the same text) over one `ssh` that stays connected: a line for each
 * job into one remote shell, an answer when its exit record lies there. Nothing is recorded, nothing can be asked or stopped.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { SshTransport } from '@muster/cluster'
import { SUPERVISOR } from '../launch/hand-supervisor.js'
import { there } from './there.js'

/** A remote shell that runs jobs by hand. */
export interface HandShell {
  /** Runs a command under the supervisor, in a new directory there, to its recorded end. Any number at once. */
  run(command: string): Promise<void>
  close(): Promise<void>
}

/** Says the end of a job on standard output, which all of them share: one short line is written in one piece. */
const ANSWER = `read -r code <"$d/exit"\nprintf '%s %s\\n' "$d" "$code"\n`

/** Opens the shell; it answers when this resolves. Whoever opens closes. */
export async function openHandShell(way: SshTransport, ssh: readonly string[]): Promise<HandShell> {
  const directory = (await there(way, 'mktemp -d "$HOME/by-hand-XXXXXX"')).trim()
  await way.put(`${directory}/supervise.sh`, SUPERVISOR + ANSWER)
  const child = spawn('ssh', [...ssh, 'bench', 'exec /bin/sh'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const waiting = new Map<string, (code: string) => void>()
  const lost = exited.then(() => Promise.reject(new Error('the remote shell ended')))
  lost.catch(() => undefined)
  createInterface(child.stdout).on('line', (line) => {
    const [name = '', code = ''] = line.split(' ')
    waiting.get(name)?.(code)
    waiting.delete(name)
  })
  const answer = (name: string): Promise<string> =>
    Promise.race([new Promise<string>((resolve) => waiting.set(name, resolve)), lost])
  let runs = 0
  const ready = answer('ready')
  child.stdin.write(`cd ${directory}\necho ready 0\n`)
  await ready
  return {
    run: async (command) => {
      const name = `attempt-${runs++}`
      const ended = answer(name)
      child.stdin.write(`sh supervise.sh ${name} ${command} &\n`)
      const code = await ended
      if (code !== '0') throw new Error(`${name} ended with ${code}`)
    },
    close: async () => {
      child.stdin.end()
      await exited
      await there(way, `rm -rf ${directory}`)
    },
  }
}
