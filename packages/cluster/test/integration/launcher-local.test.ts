/** The shell launcher on the machine at hand against the contract of its seam. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { localEnvironment, localTransport, shellLauncher, type StartRequest } from '@muster/cluster'
import { systemClock } from '@muster/core'
import { launcherSuite } from '@muster/testing'

const CONTROLLER = fileURLToPath(new URL('./fixtures/start-attempt.js', import.meta.url))

launcherSuite({
  name: 'shell over local',
  open: async ({ pathFirst, ...setup }) => {
    const { PATH = '', HOME = '/' } = localEnvironment()
    const environment = { PATH: pathFirst === undefined ? PATH : `${pathFirst}:${PATH}`, HOME, LC_ALL: 'C' }
    const transport = localTransport({ environment })
    const launcher = shellLauncher(transport, { ...setup, environment: localEnvironment() })
    const close = async (): Promise<void> => {
      await launcher.close()
      await transport.close()
    }
    return { launcher, transport, stateDir: setup.stateDir, close }
  },
  startAndDie,
})

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
