/** The shell launcher on the machine at hand against the contract of its seam. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { localEnvironment, localTransport, shellLauncher, type StartRequest } from '@muster/cluster'
import { systemClock } from '@muster/core'
import { launcherSuite, type LauncherFactory } from '@muster/testing'
import { afterAll, beforeAll } from 'vitest'

const CONTROLLER = fileURLToPath(new URL('./fixtures/start-attempt.js', import.meta.url))

const TOOLS =
  'cat chmod chown cut date dd df env find grep head id ln ls mkdir mkfifo mktemp mv nproc readlink rm rmdir ' +
  'setsid sleep sort stat sync tail touch tr uname wc'
const OTHER_SHELLS = [['/usr/bin/busybox'], ['/bin/bash']] as const

launcherSuite({ name: 'shell over local', open: opened(() => localEnvironment()['PATH'] ?? ''), startAndDie })

/** A poor machine: another shell, neither perl nor flock, so every fallback is taken. */
const poor = OTHER_SHELLS.map(([shell]) => shell).find((shell) => existsSync(shell))
let tools = ''
beforeAll(async () => {
  tools = await mkdtemp(join(tmpdir(), 'muster-test-tools-'))
  const path = (localEnvironment()['PATH'] ?? '').split(':')
  for (const name of TOOLS.split(' ')) {
    const found = path.map((directory) => join(directory, name)).find((file) => existsSync(file))
    if (found) await symlink(found, join(tools, name))
  }
  await symlink(poor ?? '/bin/sh', join(tools, 'sh'))
})
afterAll(() => rm(tools, { recursive: true, force: true }))
launcherSuite({
  name: `shell over local with ${poor ?? 'sh'}, without perl and flock`,
  open: opened(() => tools),
  startAndDie,
})

function opened(path: () => string): LauncherFactory['open'] {
  return async ({ pathFirst, ...setup }) => {
    const scripts = {
      PATH: [...(pathFirst === undefined ? [] : [pathFirst]), path()].join(':'),
      HOME: '/',
      LC_ALL: 'C',
    }
    const transport = localTransport({ environment: scripts })
    const launcher = shellLauncher(transport, { ...setup, environment: localEnvironment() })
    const close = async (): Promise<void> => {
      await launcher.close()
      await transport.close()
    }
    return { launcher, transport, stateDir: setup.stateDir, close }
  }
}

async function startAndDie(stateDir: string, request: StartRequest, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [CONTROLLER, stateDir, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  await systemClock.sleep(afterMs)
  child.kill('SIGKILL')
  await closed
}
