/** The way to a test machine, with nothing of this user's own SSH configuration. */
import { sshTransport, type SshOptions, type SshTransport } from '@muster/cluster'
import { silentLogger, systemClock } from '@muster/core'
import type { SshMachine } from '@muster/testing/servers'

/** What a person would have configured for the machine. */
export function optionsOf(machine: SshMachine, more: Partial<SshOptions> = {}): SshOptions {
  const { user, host, port, identityFile, knownHosts } = machine
  return {
    destination: `${user}@${host}:${port}`,
    identityFile,
    knownHostsFiles: [knownHosts],
    configFile: null,
    agent: false,
    ...more,
  }
}

/** A transport to the machine. Whoever calls closes it. */
export function reach(machine: SshMachine, more: Partial<SshOptions> = {}): SshTransport {
  return sshTransport(optionsOf(machine, more), { clock: systemClock, logger: silentLogger })
}
