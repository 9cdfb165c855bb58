/**
 * Kills what a shell of ours started there, by its process group: closing a channel ends nothing on the machine. Those that are
 * to be killed while one killing is under way go together in the next, so that a hundred aborts need one session and not a hundred.
 */
import { isMusterError, type Clock } from '@muster/core'
import { once } from 'node:events'
import type { Link } from './link.js'

/** How often and how long apart it is tried where the machine has no session left. */
const TRIES = 5
const AGAIN_MS = 200

/**
 * The returned function kills the group of a process. It never rejects: a machine that cannot be reached cannot be cleaned, and a
 * shell that was cut off there comes to its end by itself.
 */
export function killer(link: Link, clock: Clock): (pid: number) => Promise<void> {
  const pids = new Set<number>()
  let last = Promise.resolve()
  const killAll = async (): Promise<void> => {
    const groups = [...pids].map((pid) => `-${pid}`)
    pids.clear()
    if (groups.length === 0) return
    for (let tried = 1; link.live && tried <= TRIES; tried += 1) {
      if (await kill(link, groups)) return
      await clock.sleep(AGAIN_MS)
    }
  }
  return (pid) => {
    if (pid <= 1) return Promise.resolve()
    pids.add(pid)
    return (last = last.then(killAll))
  }
}

/** False where no session was to be had. */
async function kill(link: Link, groups: readonly string[]): Promise<boolean> {
  try {
    const { channel, connection } = await link.session(`exec /bin/sh -c 'kill -9 ${groups.join(' ')}'`, 'kill')
    connection.hold(true)
    channel.resume()
    channel.stderr.resume()
    await once(channel, 'close').finally(() => connection.hold(false))
    return true
  } catch (error) {
    return !isMusterError(error, 'SSH_SESSION_REFUSED')
  }
}
