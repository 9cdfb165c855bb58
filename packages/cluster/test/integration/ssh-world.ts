/**
 * Worlds whose machines are reached over SSH, and what their tests look at inside a machine. Invariant: what is looked at there is
 * seen from inside, not over the connection that is being cut.
 */
import type { JobHandle, MachineConfig, SshOptions } from '@muster/cluster'
import { systemClock, type Clock } from '@muster/core'
import type { SshMachine } from '@muster/testing/servers'
import { optionsOf } from './ssh-way.js'

/** The state directory of a world on an SSH machine: as private as the world's own. */
export function stateDirOf(machine: SshMachine, directory: string): string {
  return `/home/${machine.user}/${directory.split('/').at(-1) ?? ''}`
}

/** The configuration of an SSH machine, which may be reached another way than directly: through a proxy, say. */
export function configured(
  name: string,
  machine: SshMachine,
  directory: string,
  way: { readonly host: string; readonly port: number } = machine,
): MachineConfig {
  const ssh: SshOptions = optionsOf(machine, {
    destination: `${machine.user}@${way.host}:${way.port}`,
    fingerprint: machine.fingerprint,
    // Where time is hurried, a busy host still gets its seconds for a handshake.
    connectTimeoutMs: 30_000,
  })
  return { name, transport: 'ssh', ssh, stateDir: stateDirOf(machine, directory), cpus: 8 }
}

/** Time in which durations pass so many times faster, so that waits of a minute are met in seconds. The time of day is the usual one. */
export function hurried(times: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * times,
    sleep: (ms, options) => systemClock.sleep(ms / times, options),
    after: (ms, callback) => systemClock.after(ms / times, callback),
  }
}

/** What a script prints inside the machine. Throws where it fails. */
export async function said(machine: SshMachine, script: string): Promise<string> {
  const { code, stdout, stderr } = await machine.exec(script)
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${stderr}`)
  return stdout
}

/** Waits inside the machine until the test (as of test(1)) holds, 30 s at most. */
export async function until(machine: SshMachine, condition: string): Promise<void> {
  await said(machine, `n=0; until [ ${condition} ]; do n=$((n+1)); [ $n -lt 600 ] || exit 1; sleep 0.05; done`)
}

/** The log of a job so far, or as it comes where it is followed. */
export async function logOf(job: JobHandle, follow = true): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const { bytes } of job.logBytes({ follow })) pieces.push(Buffer.from(bytes))
  return Buffer.concat(pieces)
}

/** What happened to a job, by the names of its events. */
export async function actionsOf(job: JobHandle): Promise<string[]> {
  const actions: string[] = []
  for await (const { action } of job.events({ follow: false })) actions.push(action)
  return actions
}
