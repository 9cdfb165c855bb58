/** Looks at a machine's host key without logging in: what a person compares before it is trusted. */
import type { Clock, Logger } from '@muster/core'
import { connectThrough } from './dial.js'
import { fingerprintOf, judgeHostKey, keyTypeOf } from './known-hosts.js'
import type { SshOptions } from './options.js'
import { routeTo, targetOf, trustOf } from './route.js'

/** A host key as a machine showed it. */
export interface SeenHostKey {
  /** `SHA256:…` */
  readonly fingerprint: string
  readonly keyType: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** What known_hosts says of it. */
  readonly known: 'known' | 'unknown' | 'changed' | 'revoked'
}

/** The look ends here, before a word about us is said. */
class Seen extends Error {}

/**
 * Connects as far as the machine's host key; hops on the way are verified and logged in to as always.
 * Throws SSH_CONNECT_FAILED, SSH_CONFIG_INVALID, and of hops HOST_KEY_* and SSH_AUTH_FAILED.
 */
export async function seeHostKey(
  options: SshOptions,
  tools: { readonly clock: Clock; readonly logger: Logger },
): Promise<SeenHostKey> {
  const hop = await targetOf(options)
  const trust = await trustOf(hop, options, true)
  const stages = await routeTo(options, tools)
  let shown: Buffer | undefined
  const curious = stages.map((stage, index) =>
    index < stages.length - 1
      ? stage
      : {
          ...stage,
          check: (key: Buffer) => {
            shown = key
            return Promise.reject(new Seen())
          },
        },
  )
  try {
    const connection = await connectThrough(curious, { ...tools, timeoutMs: options.connectTimeoutMs ?? 15_000 })
    await connection.close()
  } catch (error) {
    if (!(error instanceof Seen)) throw error
  }
  if (!shown) throw new TypeError('a connection came about without a host key')
  const { verdict } = judgeHostKey(trust.known, trust.name, trust.port, shown)
  const { host, port, user } = hop
  return { fingerprint: fingerprintOf(shown), keyType: keyTypeOf(shown), host, port, user, known: verdict }
}
