/** SSH machines against the contract of the seam, under every kind of login shell. */
import { transportSuite } from '@muster/testing'
import { startSshMachine, type SshMachine, type SshMachineOptions } from '@muster/testing/servers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reach } from './ssh-way.js'

const MACHINES: Readonly<Record<string, SshMachineOptions>> = {
  'a usual account': {},
  'one session per connection': { sshdConfig: ['MaxSessions 1'] },
  'login shell dash': { loginShell: 'dash' },
  'login shell fish': { loginShell: 'fish', profile: 'echo welcome; echo careful >&2\n' },
  'login shell tcsh': { loginShell: 'tcsh', profile: 'echo welcome\n' },
  'busybox userland': { userland: 'busybox', loginShell: 'sh' },
}

for (const [name, options] of Object.entries(MACHINES)) {
  describe(name, () => {
    let machine: SshMachine
    beforeAll(async () => {
      machine = await startSshMachine(options)
    }, 60_000)
    afterAll(() => machine?.remove())
    transportSuite({ name: `ssh, ${name}`, open: async () => reach(machine) })
  })
}

describe('an SSH machine', () => {
  let machine: SshMachine
  beforeAll(async () => {
    machine = await startSshMachine()
  }, 60_000)
  afterAll(() => machine?.remove())

  test('scripts see PATH, HOME and LC_ALL; a login is asked for its own environment once', async () => {
    await using transport = reach(machine)
    const { stdout } = await transport.run('env')
    const names = stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
    expect(names?.sort()).toEqual(['HOME', 'LC_ALL', 'PATH', 'PWD'])
    expect(await transport.login()).toMatchObject({ HOME: `/home/${machine.user}`, USER: machine.user })
  })
})
