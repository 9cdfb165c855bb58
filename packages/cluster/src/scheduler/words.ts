/** Why nothing is placed on a machine, in the words that the leader, `explain` and the terminal share. */
import { quote } from '@muster/core'
import type { Drain, MachineTrouble, QueuePause } from '@muster/job-manager'

/** `is drained by user:ada@desk since 14:02 (new disk)`: completes a sentence that begins with the machine's name. */
export function drainText({ by, reason, at }: Drain, now: number): string {
  return `is drained by ${by} since ${timeText(at, now)}${reason === '' ? '' : ` (${reason})`}`
}

/** `the queue jobs.git is paused by user:ada@desk since 14:02 (let it go on with: muster queue resume jobs.git)`. */
export function pauseText(queue: string, { by, at }: QueuePause, now: number): string {
  const name = /^[\w.:@-]+$/.test(queue) ? queue : quote(queue)
  return `the queue ${queue} is paused by ${by} since ${timeText(at, now)} (let it go on with: muster queue resume ${name})`
}

/** `does not answer since 14:02: connection refused [SSH_CONNECT_FAILED]`: completes a sentence, too. */
export function troubleText({ code, message, since }: MachineTrouble, now: number): string {
  return `${isSilence(code) ? 'does not answer' : 'cannot be used'} since ${timeText(since, now)}: ${message} [${code}]`
}

/** A time as people here say it: of today 14:02, else with its day. */
export function timeText(at: number, now: number): string {
  const [then, today] = [new Date(at), new Date(now)]
  const time = then.toTimeString().slice(0, 5)
  if (then.toDateString() === today.toDateString()) return time
  const [month, day] = [then.getMonth() + 1, then.getDate()].map((part) => String(part).padStart(2, '0'))
  return `${then.getFullYear()}-${month ?? ''}-${day ?? ''} ${time}`
}

/** Whether the machine could not be talked to, as opposed to: it answered, and what it said forbids its use. */
function isSilence(code: string): boolean {
  return code === 'TRANSPORT_LOST' || code === 'SSH_CONNECT_FAILED' || code === 'SSH_SESSION_REFUSED'
}
