/** The way to a machine: what the destination, the options and the user's ssh configuration make of each hop. */
import { MusterError } from '@muster/core'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { readConfig, type ConfigNode } from './config-file.js'
import { fillPath, fillTokens, type Filling } from './config-tokens.js'
import { checkedHost, checkedUser, parseDestination, parsePort, type Destination } from './destination.js'
import { DEFAULT_IDENTITIES } from './identities.js'
import type { SshOptions } from './options.js'
import { fromConfig, hostNameOf, settingsOf, type HostSettings } from './user-config.js'

/** One machine on the way, the target included. All paths are absolute. */
export interface Hop {
  /** The name as written, to which the configuration's Host patterns were applied. */
  readonly alias: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly identityFiles: readonly string[]
  /** Who named the identity files. Only those of `option` must be there. */
  readonly identitiesFrom: 'option' | 'config' | 'default'
  /** Of the agent's keys only those of the identity files may be offered. */
  readonly identitiesOnly: boolean
  /** The agent's socket; null: no agent; undefined: `$SSH_AUTH_SOCK`. */
  readonly identityAgent: string | null | undefined
  /** The first one is where a key is recorded. */
  readonly knownHostsFiles: readonly string[]
  /** Stands for `host` and port 22 in known_hosts. */
  readonly hostKeyAlias?: string
  /** `option`: the destination itself; `config`: somebody's ProxyJump named it. */
  readonly proxyJumpFrom: 'config' | 'option'
  /** What the configuration asks for this hop and muster does not do: sentences for people. */
  readonly warnings: readonly string[]
}

/** Who asks: the home of `~` and the local user's name. */
export interface HopEnvironment {
  readonly home: string
  readonly user: string
  /** For `${NAME}` in the configuration; `process.env` by default. */
  readonly variables?: Readonly<Record<string, string | undefined>>
}

const SYSTEM_KNOWN_HOSTS = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']
const USER_KNOWN_HOSTS = ['known_hosts', 'known_hosts2']

/** First hop first, target last. Runs nothing. Throws INVALID_ARGUMENT (destination), SSH_CONFIG_INVALID (configuration). */
export async function resolveHops(options: SshOptions, env: HopEnvironment): Promise<readonly Hop[]> {
  const target = parseDestination(options.destination)
  const file = options.configFile === undefined ? join(env.home, '.ssh/config') : options.configFile
  const required = options.configFile !== undefined
  const config = file === null ? [] : await readConfig(file, { home: env.home, required })
  return way(target, { config, options, env }, { from: 'option', seen: [] })
}

interface Desk {
  readonly config: readonly ConfigNode[]
  readonly options: SshOptions
  readonly env: HopEnvironment
}

/** `jumps`: the hops before this one where a ProxyJump of several names them; then its own ProxyJump is not asked, as with `ssh -J`. */
interface Step {
  readonly from: Hop['proxyJumpFrom']
  readonly seen: readonly string[]
  readonly jumps?: readonly Destination[]
}

function way(to: Destination, desk: Desk, step: Step): Hop[] {
  const query = { alias: to.host, localUser: desk.env.user, ...to }
  const settings = settingsOf(desk.config, query)
  const hop = hopOf(to, settings, desk, step.from)
  const name = `${hop.user}@${hop.alias}:${String(hop.port)}`
  if (step.seen.includes(name)) throw circle([...step.seen, name], hop.alias)

  const jumps = step.jumps ?? jumpsOf(settings, hop, desk.env)
  const last = jumps.at(-1)
  if (last === undefined) return [hop]
  const before = jumps.slice(0, -1)
  const next = { from: 'config', seen: [...step.seen, name], ...(before.length > 0 && { jumps: before }) } as const
  return [...way(last, desk, next), hop]
}

function hopOf(to: Destination, settings: HostSettings, desk: Desk, from: Hop['proxyJumpFrom']): Hop {
  const alias = to.host
  const host = fromConfig('HostName', alias, () => checkedHost(hostNameOf(settings, alias)))
  const user = fromConfig('User', alias, () => checkedUser(settings.first('user') ?? desk.env.user))
  const port = fromConfig('Port', alias, () => parsePort(settings.first('port') ?? '22'))
  const hostKeyAlias = settings.first('hostkeyalias')
  const tokens = tokensOf({ alias, host, user, port }, desk.env, hostKeyAlias ?? alias)
  const filling = { home: desk.env.home, tokens, variables: desk.env.variables ?? process.env }
  return {
    alias,
    host,
    port,
    user,
    ...identitiesOf(settings, desk.options, filling, from),
    identitiesOnly: /^(yes|true)$/i.test(settings.first('identitiesonly') ?? ''),
    identityAgent: desk.options.agent === false ? null : agentOf(settings.first('identityagent'), filling),
    knownHostsFiles: desk.options.knownHostsFiles ?? knownHostsOf(settings, filling),
    ...(hostKeyAlias !== undefined && { hostKeyAlias }),
    proxyJumpFrom: from,
    warnings: settings.warnings,
  }
}

type Names = Pick<Hop, 'alias' | 'host' | 'user' | 'port'>

function tokensOf({ alias, host, user, port }: Names, env: HopEnvironment, keyName: string): Filling['tokens'] {
  const names = { n: alias, h: host, k: keyName, p: String(port), r: user, u: env.user, d: env.home }
  const [short = ''] = hostname().split('.')
  return { ...names, i: String(userInfo().uid), l: hostname(), L: short }
}

function identitiesOf(
  settings: HostSettings,
  { identityFile }: SshOptions,
  filling: Filling,
  from: Hop['proxyJumpFrom'],
): Pick<Hop, 'identityFiles' | 'identitiesFrom'> {
  // As with `ssh -i`: the option is about the target; a hop on the way says in the configuration which key it takes.
  if (identityFile !== undefined && from === 'option')
    return { identityFiles: [identityFile], identitiesFrom: 'option' }
  const named = settings.all('identityfile')
  const defaults = DEFAULT_IDENTITIES.map((name) => join(filling.home, '.ssh', name))
  if (named.length === 0) return { identityFiles: defaults, identitiesFrom: 'default' }
  const files = named.filter((file) => !isNone(file)).map((file) => fillPath('IdentityFile', file, filling))
  return { identityFiles: files, identitiesFrom: 'config' }
}

function agentOf(value: string | undefined, filling: Filling): Hop['identityAgent'] {
  if (value === undefined || value === 'SSH_AUTH_SOCK') return undefined
  if (isNone(value)) return null
  // `$NAME` is a whole value of its own, beside the `${NAME}` of paths.
  const variable = /^\$([A-Za-z_][A-Za-z0-9_]*)$/.exec(value)?.[1]
  return fillPath('IdentityAgent', variable === undefined ? value : `\${${variable}}`, filling)
}

function knownHostsOf(settings: HostSettings, filling: Filling): string[] {
  const users = settings.all('userknownhostsfile')
  const systems = settings.all('globalknownhostsfile')
  const ours =
    users.length === 0
      ? USER_KNOWN_HOSTS.map((name) => join(filling.home, '.ssh', name))
      : users.filter((file) => !isNone(file)).map((file) => fillPath('UserKnownHostsFile', file, filling))
  return [...ours, ...(systems.length === 0 ? SYSTEM_KNOWN_HOSTS : systems.filter((file) => !isNone(file)))]
}

function jumpsOf(settings: HostSettings, { alias, host, user, port }: Hop, env: HopEnvironment): Destination[] {
  const command = settings.first('proxycommand')
  if (command !== undefined && !isNone(command))
    throw new MusterError('SSH_CONFIG_INVALID', `${alias} is reached by a ProxyCommand, which muster does not run`, {
      hint: `Write "ProxyJump HOST" for ${alias} in the ssh configuration instead of "ProxyCommand ssh -W ...".`,
    })
  const value = settings.first('proxyjump')
  if (value === undefined || isNone(value)) return []
  const tokens = { h: host, n: alias, p: String(port), r: user, u: env.user }
  return fromConfig('ProxyJump', alias, () =>
    fillTokens('ProxyJump', value, tokens)
      .split(',')
      .map((jump) => parseDestination(jump.trim())),
  )
}

function isNone(value: string): boolean {
  return value.toLowerCase() === 'none'
}

function circle(names: readonly string[], alias: string): MusterError {
  const way = names.toReversed().join(' -> ')
  return new MusterError('SSH_CONFIG_INVALID', `ProxyJump in the ssh configuration goes in a circle: ${way}`, {
    hint: `Write "ProxyJump none" for Host ${alias}, above the line that applies to all.`,
  })
}
