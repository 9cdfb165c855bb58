/**
 * The configured machines and the way to each: transport and launcher are opened on first use and shared by the leader and by
 * everybody in this process who reads a log. Whoever made the registry closes it.
 */
import { closeOnce, MusterError, type Clock, type Closable, type Logger } from '@muster/core'
import { shellLauncher, type ShellLauncher, type ShellLauncherOptions } from './launch/shell-launcher.js'
import { localEnvironment, localTransport } from './machines/local.js'
import { sshTransport } from './machines/ssh/ssh.js'
import type { SshOptions } from './machines/ssh/options.js'
import type { Transport } from './machines/transport.js'

/** A machine as configured. What is not given is probed. */
export type MachineConfig = LocalMachine | SshMachine

/** The machine at hand. */
export interface LocalMachine extends MachineBasics {
  readonly transport: 'local'
}

/** A machine reached over SSH. */
export interface SshMachine extends MachineBasics {
  readonly transport: 'ssh'
  readonly ssh: SshOptions
}

/** What every machine's configuration may say. */
export interface MachineBasics {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Slots; the machine's CPU count by default. */
  readonly cpus?: number
  readonly memoryBytes?: number
  /** UUIDs that may be used; `auto` (default): all that the driver shows. */
  readonly gpus?: 'auto' | readonly string[]
  /** Where attempts live on the machine; `~/.local/state/muster/machine` by default. */
  readonly stateDir?: string
}

/** A reached machine. */
export interface ReachedMachine {
  readonly config: MachineConfig
  readonly transport: Transport
  readonly launcher: ShellLauncher
}

/** The machines by name. */
export class MachineRegistry implements Closable {
  readonly configs: ReadonlyMap<string, MachineConfig>
  readonly #reached = new Map<string, ReachedMachine>()
  readonly #tools: { clock: Clock; logger: Logger }

  constructor(configs: readonly MachineConfig[], tools: { clock: Clock; logger: Logger }) {
    this.configs = new Map(configs.map((config) => [config.name, config]))
    this.#tools = tools
    if (this.configs.size < configs.length)
      throw new MusterError('CONFIG_INVALID', 'machines: two machines have the same name')
  }

  /** The way to a machine. Throws UNKNOWN_MACHINE. Does no I/O: a machine that is down shows at the first use. */
  reach(name: string): ReachedMachine {
    const config = this.configs.get(name)
    if (!config) {
      const known = [...this.configs.keys()].join(', ')
      throw new MusterError('UNKNOWN_MACHINE', `no machine is called ${name}; configured: ${known}`, {
        details: { machine: name },
      })
    }
    const known = this.#reached.get(name)
    if (known) return known
    const { transport, environment } = this.#way(config)
    const launcher = shellLauncher(transport, {
      ...this.#tools,
      environment,
      ...(config.stateDir !== undefined && { stateDir: config.stateDir }),
    })
    const reached = { config, transport, launcher }
    this.#reached.set(name, reached)
    return reached
  }

  #way(config: MachineConfig): { transport: Transport; environment: ShellLauncherOptions['environment'] & {} } {
    if (config.transport === 'local')
      return { transport: localTransport({ ...this.#tools }), environment: localEnvironment() }
    const transport = sshTransport(config.ssh, this.#tools)
    return { transport, environment: () => transport.login() }
  }

  readonly close = closeOnce(async () => {
    const reached = [...this.#reached.values()]
    await Promise.all(reached.map(({ launcher }) => launcher.close()))
    await Promise.all(reached.map(({ transport }) => transport.close()))
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
