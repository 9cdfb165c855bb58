/**
 * A container of ours: loopback only, its own processes and address, one published port that stays the same for life.
 * Invariant: it carries our labels from its first moment, so nothing can be left unnamed.
 */
import { randomInt } from 'node:crypto'
import { GenericContainer, Wait } from 'testcontainers'
import { engine, type EngineContainer } from './engine.js'
import { serverImage } from './image.js'
import { ignoreGone, labels, removeLeftMachines } from './leftovers.js'

/** Files of a container by path. */
export type Files = Readonly<Record<string, string>>

/** A container that runs, and the port of 127.0.0.1 behind which its port lies. */
export interface Running {
  readonly container: EngineContainer
  readonly port: number
}

const ADDRESS = '127.0.0.1'
const TRIES = 8

let swept: Promise<unknown> | undefined

/**
 * Starts `command` below a small init and waits until it has printed `ready`. What interrupted runs left is removed first,
 * once per process.
 */
export async function startContainer(command: string[], files: Files, inside: number, ready: RegExp): Promise<Running> {
  await (swept ??= removeLeftMachines())
  const image = await serverImage()
  for (let tried = 1; ; tried += 1) {
    // Below the kernel's ephemeral ports: a machine that is off for a moment must find its port free again.
    const port = randomInt(10_000, 32_000)
    try {
      const started = await new OnLoopback(image)
        .publish(inside, port)
        .withCommand(['/usr/bin/tini', '--', ...command])
        .withLabels(labels())
        .withTmpFs({ '/run': 'mode=755' })
        .withCopyContentToContainer(Object.entries(files).map(([target, content]) => ({ target, content })))
        .withAutoCleanup(false)
        .withWaitStrategy(Wait.forLogMessage(ready))
        .withStartupTimeout(60_000)
        .start()
      return { container: (await engine()).getContainer(started.getId()), port }
    } catch (error) {
      if (!/port is already allocated|address already in use/.test(String(error)) || tried === TRIES) throw error
    }
  }
}

/** Removes a container with all it holds; one that is gone already is fine. */
export async function removeContainer(container: EngineContainer): Promise<void> {
  await container.remove({ force: true, v: true }).catch(ignoreGone)
}

/** What testcontainers has no words for: the address of a published port, loop devices for a disk of its own. */
class OnLoopback extends GenericContainer {
  publish(inside: number, outside: number): this {
    this.withExposedPorts({ container: inside, host: outside })
    this.hostConfig.PortBindings = { [`${inside}/tcp`]: [{ HostIp: ADDRESS, HostPort: String(outside) }] }
    this.hostConfig.CapAdd = ['SYS_ADMIN']
    this.hostConfig.DeviceCgroupRules = ['b 7:* rwm', 'c 10:237 rwm']
    this.hostConfig.SecurityOpt = ['apparmor=unconfined']
    return this
  }
}
