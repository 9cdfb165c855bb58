/** Names a process so that neither a reused pid nor a reboot makes a dead one look alive. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { errno } from './errno.js'

let own: Promise<string> | undefined

/** This process, as text for {@link isAlive}. */
export function myself(): Promise<string> {
  return (own ??= startOf(process.pid).then((start) => `${process.pid} ${start ?? ''}`))
}

/** Whether the process of that text is alive on this host. */
export async function isAlive(identity: string): Promise<boolean> {
  const [pid, ...start] = identity.split(' ')
  if (pid === undefined || !/^[1-9]\d*$/.test(pid)) return false
  return (await startOf(Number(pid))) === start.join(' ')
}

/** When the process started, in a form that differs between two processes of one pid; null where there is none. */
async function startOf(pid: number): Promise<string | null> {
  return process.platform === 'linux' ? await fromProc(pid) : await fromPs(pid)
}

async function fromProc(pid: number): Promise<string | null> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ])
    // Field 22, counted behind the name, which may hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? null : `${fields[19] ?? ''}@${boot.trim()}`
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'ESRCH') return null
    throw error
  }
}

async function fromPs(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C' } })
    return stdout.trim()
  } catch (error) {
    // ps exits 1 where there is no such process.
    if ((error as { code?: unknown }).code === 1) return null
    throw error
  }
}
