/** `muster queue pause` and `resume`: of messages, at the backend, and of jobs, in the record, which also stops their placements. */
import type { Muster } from '@muster/sdk'
import type { Io } from '../../io.js'

/** Pauses the queue, or lets it go on. */
export async function setPaused(
  io: Io,
  muster: Muster,
  name: string,
  paused: boolean,
  { json }: { readonly json?: boolean },
): Promise<void> {
  const verb = paused ? 'pausing' : 'resuming'
  const { changed, hasMessages } = await io.patiently(`${verb} ${name}`, () =>
    paused ? muster.pauseQueue(name) : muster.resumeQueue(name),
  )
  if (json) return io.json({ type: paused ? 'paused' : 'resumed', queue: name, changed, hasMessages })
  const already = changed ? '' : ' already'
  if (paused) {
    io.say(`${name} is paused${already}: none of its jobs is placed; what runs goes on`)
    if (hasMessages) io.say('its messages are held back, too; what is in flight finishes')
  } else io.say(`${name} goes on${already ? ': its jobs were not paused' : ''}`)
}
