/**
 * A container of ours: loopback only, its own processes and address, one published port that stays the same for life.
 * Invariant: it carries our labels from its first moment, so nothing can be left unnamed.
 */
import { randomInt } from 'node:crypto'
import type { Readable } from 'node:stream'
import { MusterError } from '@muster/core'
import { GenericContainer, Wait } from 'testcontainers'
import { engine, type EngineContainer } from './engine.js'
import { serverImage } from './image.js'
import { labels, removeContainersOf, removeLeftMachines } from './leftovers.js'

/** What a container is to be. */
export interface Order {
  /** Runs below a small init; with an image of its own, what its entry point is given. */
  readonly command: readonly string[]
  /** Another image than that of all test machines, with its own entry point. */
  readonly image?: string | undefined
  readonly environment?: Readonly<Record<string, string>>
  /** Files by path, there before the command starts. */
  readonly contents: Readonly<Record<string, string>>
  /**
   * The port inside that is published; or how many, one after the other, have the same number inside as outside, for servers that
   * tell their clients where the others are. The command finds the first of those in `$PORT`.
   */
  readonly port: number | { readonly same: number }
  /** What the command has printed when the container is up. */
  readonly ready: RegExp
  /** The directory of this host that goes when the container goes. */
  readonly files: string
}

/** A container that runs, and the (first) port of 127.0.0.1 behind which its port lies. */
export interface Running {
  readonly container: EngineContainer
  readonly port: number
}

const ADDRESS = '127.0.0.1'
const TRIES = 8

let swept: Promise<unknown> | undefined

/**
 * Starts a container and waits until it is ready. What interrupted runs left is removed first, once per process.
 * @throws MusterError `MACHINE_UNUSABLE` with what it printed when it does not get ready; nothing of it is left then
 */
export async function startContainer(order: Order): Promise<Running> {
  await (swept ??= removeLeftMachines())
  const image = order.image ?? (await serverImage())
  for (let tried = 1; ; tried += 1) {
    // Below the kernel's ephemeral ports: a machine that is off for a moment must find its port free again.
    const port = randomInt(10_000, 32_000)
    const printed: string[] = []
    try {
      return { port, container: await start(image, order, port, printed) }
    } catch (cause) {
      await removeContainersOf(order.files)
      if (/port is already allocated|address already in use/.test(String(cause)) && tried < TRIES) continue
      const message = `the test machine does not come up: ${String(cause)}\n${printed.join('')}`
      throw new MusterError('MACHINE_UNUSABLE', message.trim(), {
        hint: 'What it printed stands in the message.',
        cause,
      })
    }
  }
}

async function start(image: string, order: Order, port: number, printed: string[]): Promise<EngineContainer> {
  const contents = Object.entries(order.contents).map(([target, content]) => ({ target, content }))
  // Heard only until it is ready: later it would keep the process of the test alive.
  const heard: Readable[] = []
  const hear = (stream: Readable): void => {
    heard.push(stream.on('data', (bytes: Buffer) => printed.push(bytes.toString())))
  }
  const ports =
    typeof order.port === 'number'
      ? [[order.port, port] as const]
      : Array.from({ length: order.port.same }, (_, n) => [port + n, port + n] as const)
  const started = await new OnLoopback(image)
    .publish(ports)
    .withCommand(order.image === undefined ? ['/usr/bin/tini', '--', ...order.command] : [...order.command])
    .withEnvironment({ ...order.environment, PORT: String(port) })
    .withLabels(labels(order.files))
    .withTmpFs({ '/run': 'mode=755' })
    .withCopyContentToContainer(contents)
    .withAutoCleanup(false)
    .withLogConsumer(hear)
    .withWaitStrategy(Wait.forLogMessage(order.ready))
    .withStartupTimeout(60_000)
    .start()
  for (const stream of heard) stream.destroy()
  return (await engine()).getContainer(started.getId())
}

/** What testcontainers has no words for: the address of a published port, loop devices for a disk of its own. */
class OnLoopback extends GenericContainer {
  publish(ports: readonly (readonly [inside: number, outside: number])[]): this {
    this.withExposedPorts(...ports.map(([container, host]) => ({ container, host })))
    this.hostConfig.PortBindings = Object.fromEntries(
      ports.map(([inside, outside]) => [`${inside}/tcp`, [{ HostIp: ADDRESS, HostPort: String(outside) }]]),
    )
    this.hostConfig.CapAdd = ['SYS_ADMIN']
    this.hostConfig.DeviceCgroupRules = ['b 7:* rwm', 'c 10:237 rwm']
    this.hostConfig.SecurityOpt = ['apparmor=unconfined']
    return this
  }
}
