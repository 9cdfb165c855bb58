/** The way to a machine: what the destination, the options and the user's ssh configuration make of each hop. */
import { MusterError } from '@muster/core'
import type { SshOptions } from './options.js'

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

/** First hop first, target last. Runs nothing. Throws INVALID_ARGUMENT (destination), SSH_CONFIG_INVALID (configuration). */
export function resolveHops(_options: SshOptions, _env: HopEnvironment): Promise<readonly Hop[]> {
  throw new MusterError('SSH_CONFIG_INVALID', 'not yet')
}
