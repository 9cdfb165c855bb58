/**
 * The settings that open() works with, from four places: options over environment over file (./muster.yaml over the user's
 * own) over default. Pure but for reading the two files; every path in the outcome is absolute.
 */
import type { MachineConfig } from '@muster/cluster'
import { MusterError, parseWith } from '@muster/core'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { BackendConfig } from '@muster/orchestrator'
import { backendOf, type WrittenBackend } from './backend.js'
import { readConfig } from './file.js'
import { laterScheme } from './later.js'
import { machineConfig } from './machines.js'
import { userSchema, type Config, type ConfigInput } from './schema.js'

/** What the caller of open() may set, as written; each beats environment and files. */
export type SettingsInput = ConfigInput

/** Settings, resolved. */
export interface Settings {
  /** With absolute paths; secrets that it refers to are not read yet. */
  readonly backend: 'local' | BackendConfig
  /** The record's file, absolute. */
  readonly storePath: string
  /** Whether it is the default record, whose directory is made where it is missing. */
  readonly isDefaultStore: boolean
  readonly filesDirectory: string
  readonly machines: readonly MachineConfig[]
  /** The two files that were looked for, whether or not they are there. */
  readonly projectFile: string
  readonly userFile: string
}

/** Where settings come from besides the options. */
export interface Surroundings {
  readonly directory: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Resolves the settings. Throws INVALID_ARGUMENT, CONFIG_INVALID, CONFIG_UNSAFE. */
export async function resolveSettings(input: SettingsInput, { directory, env }: Surroundings): Promise<Settings> {
  const options = parseWith(userSchema, input, 'open')
  const { projectFile, userFile } = configFiles({ directory, env })
  const [project, user] = await Promise.all([
    readConfig(projectFile, { of: 'project', userFile }),
    readConfig(userFile, { of: 'user' }),
  ])
  const sources: readonly Source[] = [
    { name: 'open', by: 'program', base: directory, config: options },
    { name: 'environment', by: 'environment', base: directory, config: fromEnvironment(env) },
    { name: projectFile, by: 'project', base: directory, config: project ?? {} },
    { name: userFile, by: 'user', base: dirname(userFile), config: user ?? {} },
  ]
  const store = find(sources, 'store')
  const files = find(sources, 'files')
  const storePath = store ? sqlitePath(store) : join(xdg(env, 'XDG_STATE_HOME', '.local/state'), 'muster', 'jobs.db')
  return {
    backend: await backendFrom(sources, userFile),
    storePath,
    isDefaultStore: !store,
    filesDirectory: files ? absolute(files) : join(dirname(storePath), 'files'),
    machines: machinesOf(sources, projectFile),
    projectFile,
    userFile,
  }
}

/** The configuration files of a working directory and a user. */
export function configFiles({ directory, env }: Surroundings): {
  readonly projectFile: string
  readonly userFile: string
} {
  return {
    projectFile: join(directory, 'muster.yaml'),
    userFile: join(xdg(env, 'XDG_CONFIG_HOME', '.config'), 'muster', 'config.yaml'),
  }
}

/** The first source that names machines says which there are; how SSH reaches them every source but a project's may say. */
function machinesOf(sources: readonly Source[], projectFile: string): readonly MachineConfig[] {
  const source = sources.find(({ config }) => config.machines)
  const machines = source?.config.machines ?? [{ name: 'local', transport: 'local' as const }]
  const ssh = sources.map(({ name, base, config }) => ({ name, base, ssh: config.ssh })).reverse()
  return machines.map((machine) => machineConfig(machine, ssh, source?.name === projectFile))
}

type Partly<T> = { readonly [K in keyof T]?: T[K] | undefined }

interface Source extends Pick<WrittenBackend, 'by'> {
  readonly name: string
  /** What its relative paths are relative to. */
  readonly base: string
  readonly config: Partly<Config>
}

interface Found {
  readonly key: string
  readonly value: string
  readonly source: Source
}

/** The value of the first source that has the key; an empty variable counts as absent. */
function find(sources: readonly Source[], key: 'store' | 'files'): Found | undefined {
  const source = sources.find(({ config }) => config[key])
  const value = source?.config[key]
  return source && value ? { key, value, source } : undefined
}

/** An empty variable counts as absent. */
function fromEnvironment(env: Surroundings['env']): Partly<Config> {
  const url = env['MUSTER_BACKEND']
  return { backend: url === undefined || url === '' ? undefined : { url }, store: env['MUSTER_STORE'] }
}

async function backendFrom(sources: readonly Source[], userFile: string): Promise<Settings['backend']> {
  for (const { config, ...source } of sources)
    if (config.backend) return backendOf({ ...source, value: config.backend }, userFile)
  return 'local'
}

function sqlitePath(found: Found): string {
  if (!/^sqlite:./.test(found.value)) throw wrong(found, '`sqlite:PATH`')
  return absolute({ ...found, value: found.value.slice('sqlite:'.length) })
}

/** The value may hold a password, so the message names only its scheme. */
function wrong({ key, value, source }: Found, expected: string): MusterError {
  const scheme = /^[a-z][a-z0-9+]*:/i.exec(value)?.[0] ?? JSON.stringify(value)
  if (source.name !== 'environment' && /:\/\/[^/?#]*:[^/?#]*@/.test(value))
    return new MusterError('CONFIG_INVALID', `${source.name}: ${key} holds a password`, {
      hint: `A password stands in a URL only through the environment: MUSTER_${key.toUpperCase()}`,
    })
  const why = laterScheme(value) ?? `cannot be used; expected ${expected}`
  return new MusterError('CONFIG_INVALID', `${source.name}: ${key} ${scheme} ${why}`, { details: { key } })
}

function absolute({ value, source }: Found): string {
  return value.startsWith('~/') ? join(homedir(), value.slice(2)) : resolve(source.base, value)
}

/** A base directory of the XDG specification, which ignores a relative one. */
function xdg(env: Surroundings['env'], variable: string, fallback: string): string {
  const value = env[variable]
  return value !== undefined && isAbsolute(value) ? value : join(env['HOME'] ?? homedir(), fallback)
}
