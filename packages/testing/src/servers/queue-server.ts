/**
 * What a Redis and a RabbitMQ server of the tests have in common: to be killed, stopped, frozen and started again. Invariant:
 * the port stays the same for life, what the server wrote to its files is there after a start, and a start resolves only
 * when the server answers its own protocol.
 */
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MusterError } from '@muster/core'
import { startContainer, type Order } from './container.js'
import type { EngineContainer } from './engine.js'
import { exec, type Executed } from './exec.js'
import { FILES_PREFIX, removeContainersOf } from './leftovers.js'

/** A running server of queues. Remove it when the test is over. */
export interface QueueServer {
  /** Where a client connects, credentials included: `redis://127.0.0.1:PORT`. */
  readonly url: string
  /** 127.0.0.1. */
  readonly host: string
  /** The port on `host`; the same as long as the server exists. */
  readonly port: number
  readonly containerId: string
  /** Runs a script beside the server, as root. */
  exec(script: string): Promise<Executed>
  /** SIGKILL of the server: nobody listens until `start`. What it had written to its files stays. */
  kill(): Promise<void>
  /** A graceful end of the server, as its system would end it: nobody listens until `start`. */
  stop(): Promise<void>
  /** Up again with the data it had; resolves when it answers. */
  start(): Promise<void>
  /** Frozen: connections stay and are accepted, nothing answers. */
  pause(): Promise<void>
  unpause(): Promise<void>
  /** The server and its data are gone. Calling it again does nothing. */
  remove(): Promise<void>
}

/** How one kind of server is started and asked. */
export interface ServerKind {
  readonly name: string
  /** What the container is to be, but for the directory. */
  readonly order: Omit<Order, 'files'>
  readonly url: (host: string, port: number) => string
  /** What a client says first, and whether these first bytes of an answer mean that the server takes clients. */
  readonly hello: string
  readonly ready: (answer: string) => boolean
}

/** A server, and the container it runs in for what only its kind can do. */
export interface Started {
  readonly server: QueueServer
  readonly container: EngineContainer
}

const HOST = '127.0.0.1'
const PATIENCE_MS = 60_000
/** How long a graceful end may take before the engine kills. */
const GRACE_S = 30

/**
 * Starts a server and comes back when it answers.
 * @throws MusterError `MACHINE_UNUSABLE` when there is no engine, no image, or the server does not come up
 */
export async function startQueueServer(kind: ServerKind): Promise<Started> {
  const files = await mkdtemp(join(tmpdir(), FILES_PREFIX))
  const { container, port } = await startContainer({ ...kind.order, files })
  const answers = (): Promise<void> => serverAnswers(kind, port)
  const server: QueueServer = {
    ...{ url: kind.url(HOST, port), host: HOST, port, containerId: container.id },
    exec: (script) => exec(container, script),
    async kill() {
      await container.kill({ signal: 'SIGKILL' })
      await container.wait()
    },
    async stop() {
      await container.stop({ t: GRACE_S })
    },
    async start() {
      await container.start()
      await answers()
    },
    async pause() {
      await container.pause()
    },
    async unpause() {
      await container.unpause()
    },
    remove: () => removeContainersOf(files),
  }
  try {
    await answers()
  } catch (error) {
    await server.remove()
    throw error
  }
  return { server, container }
}

/** The engine's proxy accepts before the server listens, and a server may listen before it serves: only its answer counts. */
async function serverAnswers(kind: ServerKind, port: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!kind.ready(await firstAnswer(kind.hello, port))) {
    if (performance.now() > deadline)
      throw new MusterError('MACHINE_UNUSABLE', `${kind.name} does not answer at port ${port}`)
    await delay(20)
  }
}

async function firstAnswer(hello: string, port: number): Promise<string> {
  const socket = connect({ port, host: HOST })
  socket.setTimeout(1_000, () => socket.destroy())
  try {
    socket.write(hello, 'latin1')
    for await (const bytes of socket) return (bytes as Buffer).toString('latin1')
  } catch {
    // Nobody listens, or the connection broke: no answer.
  }
  return ''
}
