/** Machines reached over SSH. */
import { MusterError, type Clock, type Logger } from '@muster/core'
import type { Transport } from '../transport.js'
import type { SshOptions } from './options.js'

/** A transport that also knows the login environment of its machine. */
export interface SshTransport extends Transport {
  /** What a login sets there, by an allow-list (PATH, HOME, USER, LANG, …). Asked once. */
  login(): Promise<Readonly<Record<string, string>>>
}

/** Opens nothing yet: the connection comes about at the first use. */
export function sshTransport(
  options: SshOptions,
  _tools: { readonly clock: Clock; readonly logger: Logger },
): SshTransport {
  throw new MusterError('TRANSPORT_UNSUPPORTED', `ssh ${options.destination}`)
}
