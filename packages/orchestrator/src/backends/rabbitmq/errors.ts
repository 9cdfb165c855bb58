/**
 * What the client library and the server say, as errors of ours. Invariant: no message from here holds a password; whatever is not a
 * clear refusal counts as a lost connection, which may be tried again.
 */
import { isMusterError, MusterError } from '@muster/core'
import type { ServerAddress } from '../../address.js'

/** The reply code of AMQP that an error of the library carries, or undefined: the connection broke. */
export function replyCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const { code } = error
  return typeof code === 'number' && code >= 300 && code !== CONNECTION_FORCED ? code : undefined
}

/** The server shuts down, or an operator closed the connection: a lost connection like any other. */
const CONNECTION_FORCED = 320
export const NOT_FOUND = 404
export const RESOURCE_LOCKED = 405

/** The connection is not there: nothing was done, or nobody can say. */
export function unavailable(address: ServerAddress, why: string, cause?: unknown): MusterError {
  return new MusterError('BACKEND_UNAVAILABLE', `RabbitMQ at ${address.shown}: ${why}`, { cause })
}

/** An operation failed: what the server said to it, typed. */
export function operationFailed(address: ServerAddress, error: unknown, what: string): MusterError {
  if (isMusterError(error)) return error
  const code = replyCode(error)
  const said = error instanceof Error ? error.message : String(error)
  if (code === 406)
    return new MusterError('CONFIG_INVALID', `RabbitMQ at ${address.shown}: ${what}: ${differs(said)}`, {
      hint:
        'Open it with the kind of queue that it was made with (?queue=classic or ?queue=quorum), use another namespace, ' +
        'or delete the queue when it is empty.',
      cause: error,
    })
  if (code === 403)
    return new MusterError('CONFIG_INVALID', `RabbitMQ at ${address.shown}: ${what}: the user may not do that`, {
      hint: 'Give the user its rights: rabbitmqctl set_permissions -p VHOST USER ".*" ".*" ".*"',
      cause: error,
    })
  return unavailable(address, `${what}: ${code === undefined ? 'the connection broke' : said}`, error)
}

function differs(said: string): string {
  const match = /inequivalent arg '([^']+)' for (\S+) '(.+)' in vhost '.*': (received .+ but current is .+?)"?$/.exec(
    said,
  )
  return match ? `${match[2]} ${match[3]} exists with another ${match[1]} (${match[4]})` : said
}

const TLS_CODES = /CERT|TLS|SSL|EPROTO|SIGNATURE|ALTNAME/

/** Why no connection came about. */
export function dialFailed(address: ServerAddress, error: unknown): MusterError {
  const said = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const user = address.user ?? 'guest'
  const refused = (what: string, hint: string): MusterError =>
    new MusterError('CONFIG_INVALID', `RabbitMQ at ${address.shown} ${what}`, { hint, cause: error })
  if (/\(ACCESS.REFUSED\)/.test(said))
    return refused(
      `refused the user '${user}' or its password`,
      'Correct user and password. The user guest may only connect from the host of the server.',
    )
  // The library shows the server's refusal only as a frame that it did not expect. (A heartbeat is another: that server is slow.)
  if (/Expected ConnectionOpenOk; got <ConnectionClose/.test(said))
    return refused(
      `does not give the user '${user}' the vhost '${address.path === '' ? '/' : address.path}'`,
      'Make the vhost and give the user its rights: rabbitmqctl add_vhost VHOST; ' +
        'rabbitmqctl set_permissions -p VHOST USER ".*" ".*" ".*"',
    )
  if (/[Ff]rame|Invalid|protocol/.test(said))
    return refused('answered with something that is not AMQP', 'Correct host and port; with TLS write amqps://.')
  if (TLS_CODES.test(code))
    return refused(`and we did not agree on TLS (${code})`, 'Correct tls.ca, tls.servername, or the port.')
  return unavailable(address, `no connection (${code === '' ? said : code})`, error)
}
