/**
 * Launcher 4, P5: what survives KILL is reported with its pids for as long as it lives, and no longer, on each rung of the ladder that an
 * SSH machine offers.
 */
import { shellLauncher, type AttemptKey } from '@muster/cluster'
import { systemIds } from '@muster/core'
import { findProcesses, inside, killProcesses } from '@muster/testing'
import { startSshMachine, type SshMachine, type SshMachineOptions } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { said } from './ssh-world.js'
import { reach } from './ssh-way.js'
import { STUBBORN, uniqueSeconds } from './stubborn.js'

const PATIENT = { timeout: 20_000 }
const MACHINES: Readonly<Record<string, SshMachineOptions>> = {
  subreaper: {},
  marker: { hide: ['perl'] },
  'marker, busybox without flock': { userland: 'busybox', loginShell: 'sh', hide: ['perl', 'flock'] },
}
const started = new Map<string, SshMachine>()

beforeAll(async () => {
  const all = Object.entries(MACHINES)
  const machines = await Promise.all(all.map(([, options]) => startSshMachine({ ...options, setup: STUBBORN })))
  for (const [index, [name]] of all.entries()) {
    const machine = machines[index]
    if (machine) started.set(name, machine)
  }
})
afterAll(() => Promise.all([...started.values()].map((machine) => machine.remove())))

it.each(Object.keys(MACHINES))(
  '4 P5 %s: stuck as long as the survivor lives; killed again once it may be',
  async (name) => {
    const machine = started.get(name)
    if (!machine) throw new Error('unreachable')
    const seconds = uniqueSeconds()
    const survivors = async () =>
      (await findProcesses(inside(machine), seconds)).filter(({ command }) => command.startsWith('wait-for'))
    await using transport = reach(machine)
    const stateDir = `/home/${machine.user}/stuck`
    const launcher = shellLauncher(transport, { stateDir, environment: () => transport.login() })
    const key: AttemptKey = { jobId: systemIds.next(), attempt: 1, token: systemIds.token() }
    const plan = { command: { script: `stubborn ${seconds} & sleep ${seconds}` }, env: {}, artifacts: [] }
    const stop = () => launcher.stop(key, { graceMs: 50, reason: 'cancelled' })
    const stuck = async () => {
      const [seen] = await launcher.inspect([key])
      return seen?.status === 'exited' ? seen.exit.stuck : seen
    }
    try {
      const request = { key, recordId: 'record', epoch: 1, plan, secrets: {}, gpus: [], graceMs: 50 }
      expect(await launcher.start(request)).toMatchObject({ started: true, tree: name.split(',')[0] })
      await expect.poll(survivors, PATIENT).toHaveLength(1)
      const pids = (await survivors()).map(({ pid }) => pid)
      // It becomes root a moment after it is seen.
      await expect.poll(() => said(machine, `grep -c '^Uid:.0' /proc/${pids[0] ?? 0}/status || :`), PATIENT).toBe('1\n')
      // A busy machine may need longer than a stop is willing to wait: then it is asked again, as a leader does.
      await expect.poll(stop, PATIENT).toEqual({ left: 'stuck', pids })
      expect(await stop()).toEqual({ left: 'stuck', pids })
      expect(await stuck()).toEqual(pids)
      await expect(launcher.remove([key])).rejects.toMatchObject({ code: 'ATTEMPT_RUNNING' })

      await killProcesses(inside(machine), await survivors())
      await expect.poll(stuck, PATIENT).toEqual([])
      expect(await stop()).toEqual({ left: 'nothing' })
      expect((await launcher.inspect([key]))[0]).toMatchObject({ exit: { outcome: 'cancelled' } })
      await launcher.remove([key])
      expect(await said(machine, `ls ${stateDir}/attempts`)).toBe('')
    } finally {
      await killProcesses(inside(machine), await survivors())
      await launcher.close()
    }
  },
)
