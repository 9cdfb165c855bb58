/**
 * A machine over SSH for the benches, and the ways to it that are compared: muster's, OpenSSH's and one bare transport for what
 * the bench itself has to do or look at there. Invariant: all of them use the same account, key and loopback address.
 */
import { sshTransport, type SshTransport } from '@muster/cluster'
import { silentLogger, systemClock } from '@muster/core'
import { open, type Muster } from '@muster/sdk'
import { startSshMachine, type SshMachine } from '@muster/testing/servers'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** More than any row runs at once, so that nothing waits for a slot. */
const SLOTS = 64
/**
 * What sshd allows by default would hamper the peers: it drops logins at random while ten are under way, and refuses a connection's
 * eleventh session, also while the ten are just ending. Muster opens few of either.
 */
const SSHD = ['MaxStartups 200:30:300', 'MaxSessions 100']
/**
 * The home lies on ext4, as on a machine that people have. On a container's own overlay, making and removing files costs several
 * times as much, which is no property of either side.
 */
const DISK_BYTES = 4 * 2 ** 30

/** What of a machine says how it is reached; plain data, so that it can be handed to another process. */
export type Way = Pick<SshMachine, 'host' | 'port' | 'user' | 'identityFile' | 'knownHosts'>

/** Starts a machine, hands it to `use`, and removes it. A container engine must run. */
export async function withMachine<T>(use: (machine: SshMachine) => Promise<T>): Promise<T> {
  const machine = await startSshMachine({ sshdConfig: SSHD, diskBytes: DISK_BYTES })
  try {
    return await use(machine)
  } finally {
    await machine.remove()
  }
}

/** Opens muster in `directory` (made when it is missing) with that machine alone. Whoever opens closes. */
export async function openThere(
  directory: string,
  { host, port, user, identityFile, knownHosts }: Way,
): Promise<Muster> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return open({
    store: `sqlite:${join(directory, 'jobs.db')}`,
    files: join(directory, 'files'),
    machines: [{ name: 'there', ssh: `${user}@${host}:${port}`, cpus: SLOTS }],
    ssh: { there: { identityFile, knownHostsFiles: [knownHosts], configFile: null, agent: false } },
  })
}

/** A transport of the bench's own to the machine. Whoever opens closes. */
export function reach({ host, port, user, identityFile, knownHosts }: Way): SshTransport {
  return sshTransport(
    {
      ...{ destination: `${user}@${host}:${port}`, identityFile, knownHostsFiles: [knownHosts] },
      ...{ configFile: null, agent: false },
    },
    { clock: systemClock, logger: silentLogger },
  )
}

/** Runs a script of the bench's own there and gives its output. Throws where it fails. */
export async function there(way: SshTransport, script: string): Promise<string> {
  const { code, stdout, stderr } = await way.run(script)
  if (code !== 0) throw new Error(`a script of the bench ended with ${String(code)} there: ${stderr.toString()}`)
  return stdout.toString()
}

/** Writes what OpenSSH has to know to reach the machine as `bench`, and gives the arguments that make it read that. */
export function opensshArguments(directory: string, { host, port, user, identityFile, knownHosts }: Way): string[] {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, 'ssh_config')
  const lines = [
    'Host bench',
    `HostName ${host}`,
    `Port ${port}`,
    `User ${user}`,
    `IdentityFile ${identityFile}`,
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${knownHosts}`,
    'GlobalKnownHostsFile /dev/null',
    'StrictHostKeyChecking yes',
    'BatchMode yes',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  return ['-F', file]
}
