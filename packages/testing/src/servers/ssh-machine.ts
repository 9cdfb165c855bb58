/**
 * A machine that is reached over SSH: Debian's own sshd in a container, with a person's account and nothing of ours on it.
 * Invariant: what a test sees of it is what it would see of a machine on a desk: its own processes, files, host keys and boot.
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MusterError } from '@muster/core'
import { startContainer, type Running } from './container.js'
import { exec, type ExecOptions, type Executed } from './exec.js'
import { FILES_PREFIX, removeContainersOf } from './leftovers.js'
import { BOOT, CLIENT_KEY, furnish, HOST_KEY, prepare, USER, type MachineSetup } from './scripts.js'

/** What a machine is to be like. Everything has a default: a usual Debian account with bash. */
export interface SshMachineOptions {
  /** The login shell of the user; bash. */
  readonly loginShell?: 'bash' | 'dash' | 'fish' | 'tcsh' | 'sh'
  /** Text of the file that this shell reads first when sshd starts it for a command (sh and dash: `.profile`). */
  readonly profile?: string
  /** Lines of sshd_config, which stand before the distribution's own: `MaxSessions 1`. */
  readonly sshdConfig?: readonly string[]
  /** Programs that the machine does not have: `git`, `perl`, `flock`. */
  readonly hide?: readonly string[]
  /** `busybox`: /bin/sh and the usual tools are busybox's, as on small systems; `gnu`. */
  readonly userland?: 'gnu' | 'busybox'
  /** The home lies on a file system of its own with so many bytes; some megabytes at least. */
  readonly diskBytes?: number
  /** The user's password, by which one may log in too. Without one only the key opens the account. */
  readonly password?: string
  /** Shell text that root runs on the machine once, before anybody can connect. */
  readonly setup?: string
}

/** A running machine. Remove it when the test is over. */
export interface SshMachine {
  /** 127.0.0.1. */
  readonly host: string
  /** The port of sshd on `host`; the same as long as the machine exists. */
  readonly port: number
  readonly user: string
  /** A private key that opens the account, on this host. */
  readonly identityFile: string
  /** A known_hosts file with the machine's keys, under `[host]:port` and under `internalHost`. */
  readonly knownHosts: string
  /** `SHA256:...` of the ed25519 host key. */
  readonly fingerprint: string
  /** The machine's address as other machines see it, where sshd is at port 22: behind a jump host. Of the first boot. */
  readonly internalHost: string
  readonly containerId: string
  /** Runs a script on the machine, not over SSH, as root unless told otherwise. */
  exec(script: string, options?: ExecOptions): Promise<Executed>
  /** Every process ends at once, files stay, /run is empty, /proc/sys/kernel/random/boot_id is another one. Back when sshd answers. */
  reboot(): Promise<void>
  /** The machine freezes: connections stay, nothing answers. */
  pause(): Promise<void>
  unpause(): Promise<void>
  /** The power goes: every process ends at once and nobody listens, until `start`. */
  stop(): Promise<void>
  start(): Promise<void>
  /** The machine and its files here are gone. Calling it again does nothing. */
  remove(): Promise<void>
}

const HOST = '127.0.0.1'

/**
 * Starts a machine and comes back when its sshd answers.
 * @throws MusterError `MACHINE_UNUSABLE` when there is no engine, no image, or the machine does not come up
 */
export async function startSshMachine(options: SshMachineOptions = {}): Promise<SshMachine> {
  const setup = withDefaults(options)
  const files = await mkdtemp(join(tmpdir(), FILES_PREFIX))
  const running = await startContainer({
    command: ['/bin/busybox', 'sh', '/machine/boot'],
    contents: { '/machine/boot': BOOT, '/machine/prepare': prepare(setup), '/machine/furnish': furnish(setup) },
    port: 22,
    ready: /Server listening/,
    files,
  })
  try {
    return await machine(running, files)
  } catch (error) {
    await removeContainersOf(files)
    throw error
  }
}

function withDefaults(options: SshMachineOptions): MachineSetup {
  const { diskBytes, password } = options
  const plain = { loginShell: 'bash', profile: '', sshdConfig: [], hide: [], userland: 'gnu', setup: '' } as const
  return { ...plain, ...options, diskBytes, password }
}

async function machine({ container, port }: Running, directory: string): Promise<SshMachine> {
  const { NetworkSettings } = await container.inspect()
  const internalHost = Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? ''
  const keys = await exec(container, `cat ${HOST_KEY}.pub /etc/ssh/ssh_host_ecdsa_key.pub ${CLIENT_KEY}`)
  const [ed25519 = '', ecdsa = '', ...identity] = keys.stdout.split('\n')
  const identityFile = join(directory, 'identity')
  const knownHosts = join(directory, 'known_hosts')
  const named = [`[${HOST}]:${port}`, internalHost].flatMap((name) => [`${name} ${ed25519}`, `${name} ${ecdsa}`])
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(identityFile, identity.join('\n'), { mode: 0o600 })
  await writeFile(knownHosts, `${named.join('\n')}\n`)
  const answers = (): Promise<void> => sshdAnswers(port)
  return {
    ...{ host: HOST, port, user: USER, identityFile, knownHosts, internalHost, containerId: container.id },
    fingerprint: fingerprint(ed25519),
    exec: (script, execOptions) => exec(container, script, execOptions),
    async reboot() {
      await container.restart({ t: 0 })
      await answers()
    },
    async pause() {
      await container.pause()
    },
    async unpause() {
      await container.unpause()
    },
    async stop() {
      await container.stop({ t: 0 })
    },
    async start() {
      await container.start()
      await answers()
    },
    remove: () => removeContainersOf(directory),
  }
}

/** As ssh shows it: the hash of the key's bytes, base64 without padding. */
function fingerprint(publicKey: string): string {
  const [, bytes = ''] = publicKey.split(' ')
  const hash = createHash('sha256').update(Buffer.from(bytes, 'base64')).digest('base64')
  return `SHA256:${hash.replace(/=+$/, '')}`
}

/** The engine's proxy accepts before sshd listens: only sshd's greeting says that it is there. */
async function sshdAnswers(port: number, patienceMs = 30_000): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!(await greeting(port)).startsWith('SSH-')) {
    if (performance.now() > deadline)
      throw new MusterError('MACHINE_UNUSABLE', `sshd of the test machine does not answer at port ${port}`)
    await delay(30)
  }
}

async function greeting(port: number): Promise<string> {
  const socket = connect({ port, host: HOST })
  socket.setTimeout(1_000, () => socket.destroy())
  try {
    for await (const bytes of socket) return (bytes as Buffer).toString('latin1')
  } catch {
    // Nobody listens, or the connection broke: no greeting.
  }
  return ''
}
