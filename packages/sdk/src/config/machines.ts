/**
 * Machines as configured, with what the user says of the way to each. Settings below a machine's host come first, those below its
 * name over them, those of open() over those of the user's file.
 *
 * Invariant: what a muster.yaml calls a name cannot lead a password, or a promise to trust whoever answers, to another host.
 */
import { parseDestination, type MachineConfig, type SshOptions } from '@muster/cluster'
import { MusterError } from '@muster/core'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Config } from './schema.js'

/** SSH settings and where they were read. */
export interface SshSource {
  readonly name: string
  /** What its relative paths are relative to. */
  readonly base: string
  readonly ssh: Config['ssh'] | undefined
}

type Machine = NonNullable<Config['machines']>[number]
type Settings = NonNullable<Config['ssh']>[string]

/**
 * The machine as the cluster takes it. `sources` from the weakest to the strongest; `foreign`: the machine comes from a muster.yaml.
 * Throws CONFIG_INVALID.
 */
export function machineConfig(machine: Machine, sources: readonly SshSource[], foreign: boolean): MachineConfig {
  const { name, ssh, labels, cpus, memory, gpus, stateDir } = machine
  const basics = {
    name,
    ...(labels && { labels }),
    ...(cpus !== undefined && { cpus }),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(gpus !== undefined && { gpus }),
    ...(stateDir !== undefined && { stateDir }),
  }
  if (ssh === undefined) return { ...basics, transport: 'local' }
  const { host } = parseDestination(ssh)
  const found = sources.flatMap((source) => {
    const named = source.ssh?.[name]
    if (named) refuseOther(source, machine, host, named, foreign)
    return [source.ssh?.[host], name === host ? undefined : named].flatMap((settings) =>
      settings ? [optionsOf(settings, source.base)] : [],
    )
  })
  const options: SshOptions = Object.assign({ destination: ssh }, ...found) as SshOptions
  return { ...basics, transport: 'ssh', ssh: options }
}

/** Refuses an entry that was meant for another host, or could be made to serve one. */
function refuseOther(
  source: SshSource,
  { name, ssh = '' }: Machine,
  host: string,
  entry: Settings,
  foreign: boolean,
): void {
  const at = `${source.name}: ssh.${name}`
  if (entry.host !== undefined && entry.host !== host)
    throw new MusterError('CONFIG_INVALID', `${at} is for ${entry.host}, but ${name} is ${ssh}`, {
      hint: `Correct one of them: host: ${host}`,
    })
  const password = entry.passwordEnv !== undefined || entry.passwordFile !== undefined
  const trusting = entry.hostKeys === 'trust-first' && entry.fingerprint === undefined
  if (foreign && name !== host && entry.host === undefined && (password || trusting))
    throw new MusterError(
      'CONFIG_INVALID',
      `${at} holds ${password ? 'a password' : 'hostKeys: trust-first'}, and a muster.yaml says that ${name} is ${ssh}`,
      { hint: `If that is right, name the host there: host: ${host}` },
    )
}

function optionsOf(settings: Settings, base: string): Partial<SshOptions> {
  const { identityFile, fingerprint, hostKeys, agent, configFile, knownHostsFiles, connectTimeout } = settings
  const file = (path: string): string => (path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(base, path))
  const passphrase = secret(settings.passphraseEnv, settings.passphraseFile, file)
  const password = secret(settings.passwordEnv, settings.passwordFile, file)
  return {
    ...(identityFile !== undefined && { identityFile: file(identityFile) }),
    ...(passphrase && { passphrase }),
    ...(password && { password }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(hostKeys !== undefined && { hostKeys }),
    ...(agent !== undefined && { agent }),
    ...(configFile !== undefined && { configFile: configFile === null ? null : file(configFile) }),
    ...(knownHostsFiles && { knownHostsFiles: knownHostsFiles.map(file) }),
    ...(connectTimeout !== undefined && { connectTimeoutMs: connectTimeout }),
  }
}

function secret(
  env: string | undefined,
  path: string | undefined,
  file: (path: string) => string,
): { readonly env: string } | { readonly file: string } | undefined {
  return env !== undefined ? { env } : path !== undefined ? { file: file(path) } : undefined
}
