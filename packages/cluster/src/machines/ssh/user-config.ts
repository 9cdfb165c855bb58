/**
 * What the user's ssh configuration says about one host: the first value of a setting wins, identity files add up.
 * Invariant: nothing is executed. A `Match exec` block is left out, and that is said.
 */
import { MusterError } from '@muster/core'
import type { ConfigNode } from './config-file.js'
import { fillTokens } from './config-tokens.js'
import { matchesList } from './patterns.js'

/** The host that is asked about. What stands here beats the configuration. */
export interface HostQuery {
  /** As the user wrote it. */
  readonly alias: string
  readonly user?: string
  readonly port?: number
  readonly localUser: string
}

/** The settings of one host by keyword in lower case, as written. */
export interface HostSettings {
  /** The first value of a setting that has one. */
  first(keyword: string): string | undefined
  /** All values of a setting. */
  all(keyword: string): readonly string[]
  /** Sentences for people: what applies to the host and is not done. */
  readonly warnings: readonly string[]
}

/** Finds the settings. Throws SSH_CONFIG_INVALID where HostName cannot be filled in. */
export function settingsOf(nodes: readonly ConfigNode[], query: HostQuery): HostSettings {
  const pass = new Pass(query)
  pass.walk(nodes)
  if (pass.wantsFinal) pass.again(nodes)
  return pass
}

/** Which settings keep all their lines instead of the first one. */
const ADDS_UP = new Set(['identityfile', 'certificatefile'])

/** ssh takes whichever of the two it meets first, `none` included. */
const EITHER = new Set(['proxyjump', 'proxycommand'])

const NOT_DONE: Readonly<Record<string, (value: string) => string | undefined>> = {
  stricthostkeychecking: (value) =>
    /^(no|off|accept-new)$/i.test(value) ? 'host keys are always verified (StrictHostKeyChecking)' : undefined,
  canonicalizehostname: (value) =>
    /^(no|none)$/i.test(value) ? undefined : 'host names are not completed (CanonicalizeHostname)',
  certificatefile: (value) => (value === 'none' ? undefined : 'certificates are not used (CertificateFile)'),
  pkcs11provider: (value) => (value === 'none' ? undefined : 'keys on a card are not used (PKCS11Provider)'),
  knownhostscommand: (value) => (value === 'none' ? undefined : 'no program is run for host keys (KnownHostsCommand)'),
}

class Pass implements HostSettings {
  readonly #found = new Map<string, string[]>()
  readonly #warnings = new Set<string>()
  readonly #query: HostQuery
  #host: string
  #isFinal = false
  wantsFinal = false

  constructor(query: HostQuery) {
    this.#query = query
    this.#host = query.alias
    if (query.user !== undefined) this.#found.set('user', [query.user])
    if (query.port !== undefined) this.#found.set('port', [String(query.port)])
  }

  get warnings(): readonly string[] {
    return [...this.#warnings]
  }

  first(keyword: string): string | undefined {
    return this.#found.get(keyword)?.[0]
  }

  all(keyword: string): readonly string[] {
    return this.#found.get(keyword) ?? []
  }

  walk(nodes: readonly ConfigNode[]): void {
    for (const node of nodes)
      if (node.kind === 'setting') this.#set(node.keyword, node.values)
      else if (this.#applies(node)) this.walk(node.body)
  }

  /** `Match final` asks for a second reading, in which Host sees the name that the first one found. */
  again(nodes: readonly ConfigNode[]): void {
    this.#host = this.#hostName()
    this.#isFinal = true
    this.walk(nodes)
  }

  #set(keyword: string, values: readonly string[]): void {
    const [value = ''] = values
    const refused = NOT_DONE[keyword]?.(value)
    if (refused !== undefined && !this.#found.has(keyword)) this.#warnings.add(`${this.#query.alias}: ${refused}`)
    const had = this.#found.get(keyword)
    if (ADDS_UP.has(keyword)) this.#found.set(keyword, [...new Set([...(had ?? []), value])])
    else if (EITHER.has(keyword) && [...EITHER].some((either) => this.#found.has(either))) return
    else if (had === undefined) this.#found.set(keyword, [...values])
  }

  #applies(node: Exclude<ConfigNode, { kind: 'setting' }>): boolean {
    if (node.kind === 'include') return true
    return node.kind === 'host' ? matchesList(this.#host, node.values) : this.#matches(node.values)
  }

  #matches(criteria: readonly string[]): boolean {
    for (let at = 0; at < criteria.length; at++) {
      const isNot = criteria[at]?.startsWith('!') ?? false
      const criterion = criteria[at]?.slice(isNot ? 1 : 0).toLowerCase() ?? ''
      const hasValue = !['all', 'canonical', 'final'].includes(criterion)
      const holds = this.#holds(criterion, hasValue ? (criteria[++at] ?? '') : '')
      if (holds === undefined || holds === isNot) return false
    }
    return true
  }

  /** Undefined: muster cannot say, and the block is left out, negated or not. */
  #holds(criterion: string, value: string): boolean | undefined {
    const anyCase = (text: string): boolean => matchesList(text.toLowerCase(), value.toLowerCase().split(','))
    const patterns = value.split(',')
    if (criterion === 'all') return true
    if (criterion === 'host') return anyCase(this.#hostName())
    if (criterion === 'originalhost') return anyCase(this.#query.alias)
    if (criterion === 'user') return matchesList(this.first('user') ?? this.#query.localUser, patterns)
    if (criterion === 'localuser') return matchesList(this.#query.localUser, patterns)
    if (criterion === 'final') this.wantsFinal = true
    if (criterion === 'final' || criterion === 'canonical') return this.#isFinal
    const why = criterion === 'exec' ? 'runs no program of the ssh configuration' : 'does not know that criterion'
    this.#warnings.add(`${this.#query.alias}: the block "Match ${criterion}" is left out, since muster ${why}`)
    return undefined
  }

  #hostName(): string {
    return hostNameOf(this, this.#query.alias)
  }
}

/** The name or address to connect to, in lower case as ssh has it. Throws SSH_CONFIG_INVALID. */
export function hostNameOf(settings: HostSettings, alias: string): string {
  return fillTokens('HostName', settings.first('hostname') ?? alias, { h: alias }).toLowerCase()
}

/** Runs `make`; what it refuses of the configuration's values is SSH_CONFIG_INVALID naming the keyword. */
export function fromConfig<T>(keyword: string, alias: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof MusterError) || error.code !== 'INVALID_ARGUMENT') throw error
    const message = `${keyword} of ${alias} in the ssh configuration: ${error.message}`
    throw new MusterError('SSH_CONFIG_INVALID', message, { hint: `See: ssh -G ${alias}`, cause: error })
  }
}
