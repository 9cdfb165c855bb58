/** The error of every broken connection, and what errors of the way to a machine mean: they say nothing of what runs there. */
import { isMusterError, MusterError } from '@muster/core'

/** TRANSPORT_LOST; `why` completes "lost the machine's shell: ...". */
export function lost(why: string, cause?: unknown): MusterError {
  return new MusterError('TRANSPORT_LOST', `lost the machine's shell: ${why}`, cause === undefined ? {} : { cause })
}

/** Whether the way to the machine failed, however: it was not asked, so this is neither a job's fault nor its end. */
export function isWayBlocked(error: unknown): boolean {
  return isMusterError(error) && /^(TRANSPORT_LOST$|SSH_|HOST_KEY_)/.test(error.code)
}

/** Whether it failed in a way that passes by itself: who waits for the machine goes on waiting. */
export function isSilence(error: unknown): boolean {
  return isWayBlocked(error) && isMusterError(error) && error.retryable
}
