/** The shell launcher over SSH against the contract of its seam: on a usual machine, and on one with little more than busybox. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { shellLauncher, type StartRequest, type Transport } from '@muster/cluster'
import { systemClock } from '@muster/core'
import { launcherSuite, type LauncherFactory } from '@muster/testing'
import { startSshMachine, type SshMachine, type SshMachineOptions } from '@muster/testing/servers'
import { afterAll, beforeAll, describe } from 'vitest'
import { optionsOf, reach } from './ssh-way.js'

const CONTROLLER = fileURLToPath(new URL('./fixtures/start-attempt-ssh.js', import.meta.url))

const MACHINES: Readonly<Record<string, SshMachineOptions>> = {
  'a usual account': {},
  'busybox, without perl and flock, one session': {
    userland: 'busybox',
    loginShell: 'sh',
    hide: ['perl', 'flock'],
    sshdConfig: ['MaxSessions 1'],
  },
}

for (const [name, options] of Object.entries(MACHINES)) {
  describe(name, () => {
    let machine: SshMachine
    beforeAll(async () => {
      machine = await startSshMachine(options)
    }, 60_000)
    afterAll(() => machine?.remove())
    launcherSuite({ name: `shell over ssh, ${name}`, open: (setup) => open(machine, setup), startAndDie })

    async function startAndDie(stateDir: string, request: StartRequest, afterMs: number): Promise<void> {
      const words = [CONTROLLER, stateDir, JSON.stringify(request), JSON.stringify(optionsOf(machine))]
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
      const closed = once(child, 'close')
      await once(child.stdout, 'data')
      await systemClock.sleep(afterMs)
      child.kill('SIGKILL')
      await closed
    }
  })
}

async function open(
  machine: SshMachine,
  { pathFirst, ...setup }: Parameters<LauncherFactory['open']>[0],
): ReturnType<LauncherFactory['open']> {
  const way = reach(machine)
  const transport = pathFirst === undefined ? way : withPath(way, pathFirst)
  const launcher = shellLauncher(transport, { ...setup, environment: () => way.login() })
  const close = async (): Promise<void> => {
    await launcher.close()
    await way.close()
  }
  return { launcher, transport, stateDir: setup.stateDir, close }
}

/** A machine whose login put a directory first in PATH. */
function withPath(transport: Transport, directory: string): Transport {
  return {
    ...transport,
    run: (script, options) => transport.run(`PATH=${directory}:$PATH\nexport PATH\n${script}`, options),
  }
}
