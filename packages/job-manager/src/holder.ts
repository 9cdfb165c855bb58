/**
 * Who holds a lease, as far as this host can tell: enough to know at once that a holder is dead, never to guess that it is.
 * Only a holder of the same boot and the same pid namespace can be judged; everything else waits for its lease to run out.
 */
import { readFile, readlink } from 'node:fs/promises'

/** A process as its host knows it. Empty text and null where the platform does not tell. */
export interface Holder {
  /** Boot id and pid namespace. */
  readonly host: string
  readonly pid: number
  /** Start time of the process, in clock ticks since boot. */
  readonly pidStart: string
}

/** This process. */
export async function thisProcess(): Promise<Holder> {
  return { host: await hostKey(), pid: process.pid, pidStart: (await startTime(process.pid)) ?? '' }
}

/** Whether `other` is certainly dead: of an earlier boot of this host's kernel, or gone from our own pid namespace. */
export async function isDead(other: Holder, self: Holder): Promise<boolean> {
  if (other.host === '' || self.host === '') return false
  const [boot, namespace] = other.host.split(' ')
  const [ourBoot, ourNamespace] = self.host.split(' ')
  // The file is on a local disk, so whoever wrote it ran on this kernel.
  if (boot !== ourBoot) return true
  if (namespace !== ourNamespace || other.pidStart === '') return false
  return (await startTime(other.pid)) !== other.pidStart
}

async function hostKey(): Promise<string> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    return `${boot} ${await readlink('/proc/self/ns/pid')}`
  } catch {
    // Not Linux: nothing can be judged here, and the lease alone decides.
    return ''
  }
}

/** The start time of a live process, undefined when there is none or only a zombie is left. */
async function startTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may contain anything; the fields after it are fixed.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
