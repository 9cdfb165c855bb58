/**
 * Who owns a container: the process that started it, named so that no later process can be mistaken for it. Invariant: what
 * a living process of this host owns is never taken for a leftover.
 */
import { readFileSync } from 'node:fs'

/** This process, as a word for a label: boot of the host, pid and start time. */
export function thisOwner(): string {
  return ownerOf(process.pid) ?? `${bootId()}:${process.pid}:unknown`
}

/** Whether the process that gave itself this name still runs on this host. */
export function isAlive(owner: string): boolean {
  const pid = Number(owner.split(':')[1])
  return Number.isInteger(pid) && ownerOf(pid) === owner
}

function ownerOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of a process may hold spaces and brackets: fields are counted behind its last bracket.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : `${bootId()}:${pid}:${fields[18] ?? ''}`
  } catch {
    return undefined
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
