/** The error of every broken connection: one code, whatever broke. */
import { MusterError } from '@muster/core'

/** TRANSPORT_LOST; `why` completes "lost the machine's shell: ...". */
export function lost(why: string, cause?: unknown): MusterError {
  return new MusterError('TRANSPORT_LOST', `lost the machine's shell: ${why}`, cause === undefined ? {} : { cause })
}
