/**
 * From what a person configured to the stages of a connection. Files are read anew for each connection, so that a key that was
 * just added, or a line that was just removed from known_hosts, counts at the next try.
 */
import { homedir, userInfo } from 'node:os'
import type { Clock, Logger } from '@muster/core'
import type { ServerHostKeyAlgorithm } from 'ssh2'
import { authentication, type Offers } from './auth.js'
import { checkHostKey, type Trust } from './host-key.js'
import { resolveHops, type Hop } from './hops.js'
import { readIdentities, readSecret } from './identities.js'
import { knownKeyTypes, readKnownHosts } from './known-hosts.js'
import { library } from './library.js'
import type { Stage } from './login.js'
import type { SshOptions } from './options.js'

/** What ssh2 can check, in the order of preference where a host is not known by another. */
const HOST_KEYS: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

/** What making a route needs. */
export interface RouteTools {
  readonly clock: Clock
  readonly logger: Logger
}

/** The stages to the machine, first hop first. Throws SSH_CONFIG_INVALID, INVALID_ARGUMENT. */
export async function routeTo(options: SshOptions, tools: RouteTools): Promise<readonly Stage[]> {
  const hops = await resolveHops(options, { home: homedir(), user: userInfo().username })
  for (const text of hops.flatMap(({ warnings }) => warnings))
    tools.logger.warn({ destination: options.destination }, text)
  return Promise.all(hops.map((hop, index) => stageOf(hop, options, index === hops.length - 1, tools)))
}

/** Who the machine is, without a word to it. */
export async function targetOf(options: SshOptions): Promise<Hop> {
  const hops = await resolveHops(options, { home: homedir(), user: userInfo().username })
  const target = hops.at(-1)
  if (!target) throw new TypeError('a route has an end')
  return target
}

/** What a hop's key is judged by. Pin and trust at first use are said of the machine itself, never of a hop on the way. */
export async function trustOf(hop: Hop, options: SshOptions, isTarget: boolean): Promise<Trust> {
  const known = await readKnownHosts(hop.knownHostsFiles)
  return {
    name: hop.hostKeyAlias ?? hop.host,
    port: hop.hostKeyAlias === undefined ? hop.port : 22,
    known,
    pinned: isTarget ? options.fingerprint : undefined,
    recordIn: isTarget && options.hostKeys === 'trust-first' ? hop.knownHostsFiles[0] : undefined,
  }
}

async function stageOf(
  hop: Hop,
  options: SshOptions,
  isTarget: boolean,
  { clock, logger }: RouteTools,
): Promise<Stage> {
  const { host, port, user } = hop
  const ssh2 = await library()
  const trust = await trustOf(hop, options, isTarget)
  const { identities, forAgent, warnings } = await readIdentities(
    hop.identityFiles,
    options.passphrase,
    hop.identitiesFrom === 'option',
  )
  for (const text of warnings) logger.debug({ host }, text)
  // The password is the machine's; a hop is another host with another one.
  const password = isTarget && options.password ? await readSecret(options.password) : undefined
  const preferred = knownKeyTypes(trust.known, trust.name, trust.port).filter(isSupported)
  const isUsual = hop.identitiesFrom === 'default'
  const offers: Offers = {
    user,
    named: isUsual ? [] : identities,
    usual: isUsual ? identities : [],
    agent: agentOf(hop, options),
    agentOnly: hop.identitiesOnly ? [...identities, ...forAgent].map(({ publicKey }) => publicKey) : undefined,
    password,
    leftOut: warnings,
  }
  return {
    host,
    port,
    user,
    hostKeys: [...new Set([...preferred, ...HOST_KEYS])],
    check: (key) => checkHostKey(trust, { host, port, user }, key, logger),
    authentication: () => authentication(ssh2, offers, clock),
  }
}

function agentOf({ identityAgent }: Hop, { agent = true }: SshOptions): string | undefined {
  if (!agent || identityAgent === null) return undefined
  return (identityAgent ?? process.env['SSH_AUTH_SOCK']) || undefined
}

function isSupported(name: string): name is ServerHostKeyAlgorithm {
  return (HOST_KEYS as readonly string[]).includes(name)
}
