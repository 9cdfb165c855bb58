/** What open() is called with for a test machine over SSH: as a person would write it, with nothing of this user's own configuration. */
import type { OpenOptions } from '@muster/sdk'
import type { SshMachine } from '@muster/testing/servers'
import { basename } from 'node:path'

/** The state directory on the machine that belongs to a place here. */
export function stateDirOf({ user }: SshMachine, root: string): string {
  return `/home/${user}/${basename(root)}`
}

/** One machine called `far`, with four slots; plain data, so that it can be handed to another process. */
export function far(machine: SshMachine, root: string, way: { host: string; port: number } = machine): OpenOptions {
  const { user, identityFile, fingerprint } = machine
  const ssh = `${user}@${way.host}:${way.port}`
  return {
    machines: [{ name: 'far', ssh, cpus: 4, stateDir: stateDirOf(machine, root) }],
    ssh: { far: { identityFile, fingerprint, configFile: null, agent: false } },
  }
}

/** What a script prints on the machine, as root and not over SSH. Throws where it fails. */
export async function said(machine: SshMachine, script: string): Promise<string> {
  const { code, stdout, stderr } = await machine.exec(script)
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${stderr}`)
  return stdout
}

/** Waits on the machine until the test (as of test(1)) holds, 30 s at most. */
export async function until(machine: SshMachine, condition: string): Promise<void> {
  await said(machine, `n=0; until [ ${condition} ]; do n=$((n+1)); [ $n -lt 600 ] || exit 1; sleep 0.05; done`)
}
