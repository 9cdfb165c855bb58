/**
 * A machine that a person is about to add: seen and probed before anything of it is written, and written only as a whole. Its place
 * goes into muster.yaml, how it is reached and trusted into the user's own file.
 */
import {
  lookAtMachine,
  parseDestination,
  seeHostKey,
  type MachineLook,
  type SeenHostKey,
  type SshMachine,
} from '@muster/cluster'
import { MusterError, parseWith, silentLogger, systemClock, type Clock, type Logger } from '@muster/core'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import type { ConfigPlace, Edit } from '../config/edit.js'
import { readConfig } from '../config/file.js'
import { machineConfig } from '../config/machines.js'
import { machineSchema, sshSchema, type MachineInput, type SshInput } from '../config/schema.js'
import { configFiles, resolveSettings } from '../config/settings.js'
import type { FileChange } from '../config/write.js'

/** Where configuration is read and written. */
export interface ProspectOptions {
  /** Where muster.yaml lies or will lie; the working directory by default. */
  readonly cwd?: string
  readonly clock?: Clock
  readonly logger?: Logger
}

/** A machine to add. */
export interface Prospect {
  readonly name: string
  /** What it showed before anybody logged in: to be compared with the machine's own. Throws SSH_*. */
  seeHostKey(): Promise<SeenHostKey>
  /** Logs in, with this key alone trusted, and asks what the machine has. Throws SSH_*, HOST_KEY_*, MACHINE_UNUSABLE, STATE_DIR_UNSAFE. */
  probe(fingerprint: string): Promise<MachineLook>
  /** What `writeChanges` would write. Throws CONFIG_INVALID, CONFIG_UNSAFE. */
  changes(fingerprint: string): Promise<readonly FileChange[]>
}

/** Prepares the addition of a machine. Nothing is asked or written yet. Throws INVALID_ARGUMENT, CONFIG_INVALID, CONFIG_UNSAFE. */
export async function prospectMachine(
  input: { readonly machine: MachineInput; readonly ssh?: SshInput },
  options: ProspectOptions = {},
): Promise<Prospect> {
  const { cwd = process.cwd(), clock = systemClock, logger = silentLogger } = options
  const { machine, ssh = {} } = parseWith(prospectSchema, input, 'machine')
  const { name, ssh: destination } = machine
  if (destination === undefined)
    throw new MusterError('INVALID_ARGUMENT', `${name}: only a machine over SSH can be added`)
  const settings = await resolveSettings({}, { directory: cwd, env: process.env })
  const taken = settings.machines.find((one) => one.name === name)
  if (taken)
    throw new MusterError(
      'INVALID_ARGUMENT',
      `${name} is configured already${taken.transport === 'ssh' ? `, as ${taken.ssh.destination}` : ''}`,
      { hint: `See how it is: muster machines probe ${name}. Take it out first: muster machines remove ${name}` },
    )
  const places = await placesOf(cwd)
  const user = await readConfig(places.user.path, places.user.scope)
  const sources = [
    { name: places.user.path, base: dirname(places.user.path), ssh: user?.ssh },
    { name: 'the machine to add', base: cwd, ssh: { [name]: ssh } },
  ]
  const config = machineConfig(machine, sources, false) as SshMachine
  const tools = { clock, logger }
  const pinned = (fingerprint: string): SshMachine => ({ ...config, ssh: { ...config.ssh, fingerprint } })
  return {
    name,
    seeHostKey: () => seeHostKey(config.ssh, tools),
    probe: (fingerprint) => lookAtMachine(pinned(fingerprint), tools),
    changes: async (fingerprint) => {
      const { addMachine, setSsh } = await import('../config/edit.js')
      const { host } = parseDestination(destination)
      const personal = setSsh(name, { host, ...absolute(input.ssh ?? {}, cwd), fingerprint })
      const placed = addMachine(input.machine, process.platform === 'linux' ? [HERE] : [])
      return changes(places, { user: [personal], machines: [placed] })
    },
  }
}

/**
 * What `writeChanges` would write to take a machine out of the configuration, with what the user's file says of the way to it. Throws
 * UNKNOWN_MACHINE, CONFIG_INVALID, CONFIG_UNSAFE.
 */
export async function planRemoval(
  name: string,
  { cwd = process.cwd() }: ProspectOptions = {},
): Promise<readonly FileChange[]> {
  const { removeMachine, removeSsh } = await import('../config/edit.js')
  const places = await placesOf(cwd)
  const planned = await changes(places, { user: [removeSsh(name)], machines: [removeMachine(name)] })
  if (planned.some(({ path }) => path === places.machines.path)) return planned
  throw new MusterError('UNKNOWN_MACHINE', `no machine is called ${name} in ${places.machines.path}`)
}

/** The machine at hand stays where the list of machines is new: without one it was there, too. */
const HERE: MachineInput = { name: 'local', transport: 'local' }

const prospectSchema = z.strictObject({ machine: machineSchema, ssh: sshSchema.optional() })

/** The user's own file, and the one in which the machines of this directory stand or will stand. */
interface Places {
  readonly user: ConfigPlace
  readonly machines: ConfigPlace
}

async function placesOf(directory: string): Promise<Places> {
  const { projectFile, userFile } = configFiles({ directory, env: process.env })
  const user: ConfigPlace = { path: userFile, scope: { of: 'user' } }
  const project: ConfigPlace = { path: projectFile, scope: { of: 'project', userFile } }
  const [mine, here] = await Promise.all([readConfig(userFile, user.scope), readConfig(projectFile, project.scope)])
  // A list in muster.yaml would hide the one in the user's file.
  return { user, machines: mine?.machines && !here?.machines ? user : project }
}

async function changes(
  { user, machines }: Places,
  edits: { readonly user: readonly Edit[]; readonly machines: readonly Edit[] },
): Promise<readonly FileChange[]> {
  const { planChange } = await import('../config/edit.js')
  const planned =
    user.path === machines.path
      ? [await planChange(user, [...edits.user, ...edits.machines])]
      : [await planChange(user, edits.user), await planChange(machines, edits.machines)]
  return planned.filter((change) => change !== undefined)
}

/** Files as the user's own file can name them: given relative to where the person stood. */
function absolute(ssh: SshInput, cwd: string): SshInput {
  const file = (path: string): string => (path.startsWith('~/') ? path : resolve(cwd, path))
  const { identityFile, passphraseFile, passwordFile, configFile, knownHostsFiles } = ssh
  return {
    ...ssh,
    ...(identityFile !== undefined && { identityFile: file(identityFile) }),
    ...(passphraseFile !== undefined && { passphraseFile: file(passphraseFile) }),
    ...(passwordFile !== undefined && { passwordFile: file(passwordFile) }),
    ...(configFile !== undefined && configFile !== null && { configFile: file(configFile) }),
    ...(knownHostsFiles && { knownHostsFiles: knownHostsFiles.map(file) }),
  }
}
