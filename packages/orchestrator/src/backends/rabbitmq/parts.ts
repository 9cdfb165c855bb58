/** The parts of an opened backend, wired. Invariant: whatever was opened is closed again if the rest cannot be. */
import { MusterError, type Clock, type Logger } from '@muster/core'
import type { BackendOptions } from '../../backend.js'
import type { RabbitConfig } from './config.js'
import { Desk } from './desk.js'
import { Holdings } from './held.js'
import { Ladder } from './ladder.js'
import { Lines } from './lines.js'
import { Link } from './link.js'
import { Maintenance } from './dead.js'
import { Mover } from './mover.js'
import { prefixOf, registryNamesOf } from './names.js'
import { Post } from './publish.js'
import { Publisher } from './publisher.js'
import { Receiver } from './receive.js'
import { Registry } from './registry.js'
import { Settler } from './settle.js'
import { Signal } from './signal.js'
import { Sorter } from './sorter.js'
import { Topology } from './topology.js'
import { Voice } from './voice.js'
import { Work } from './work.js'

/** What the members of the backend are made of. */
export interface Parts {
  readonly link: Link
  readonly config: RabbitConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly desk: Desk
  readonly lines: Lines
  readonly topology: Topology
  readonly holdings: Holdings
  readonly sorter: Sorter
  readonly registry: Registry
  readonly settler: Settler
  readonly receiver: Receiver
  readonly post: Post
  readonly maintenance: Maintenance
  readonly work: Work
  /** Emitted once, when the backend closes. */
  readonly closing: Signal
  /** Ends the connections. */
  close(): Promise<void>
}

/** Connects and wires. Throws CONFIG_INVALID, BACKEND_UNAVAILABLE. */
export async function assemble(config: RabbitConfig, options: BackendOptions): Promise<Parts> {
  const work = new Work()
  try {
    return await work.run(() => wire(config, options, work))
  } catch (error) {
    work.close()
    throw error
  }
}

async function wire(config: RabbitConfig, { clock, ids, logger }: BackendOptions, work: Work): Promise<Parts> {
  const links = await connectBoth(config, { clock, logger })
  const [link, outbound] = links
  const prefix = prefixOf(config.namespace)
  const desk = new Desk(link, config)
  const ladder = new Ladder(desk, prefix)
  const topology = new Topology(desk, ladder, config.queueKind)
  // Moves do not wait behind a batch of somebody who publishes.
  const moves = new Publisher(outbound, config, clock)
  const publisher = new Publisher(outbound, config, clock)
  const mover = new Mover({ publisher: moves, topology, ladder, queueKind: config.queueKind, clock, logger })
  const voice = new Voice(outbound, config, clock, ids)
  const registry = new Registry({ link, desk, voice, config, names: registryNamesOf(prefix), clock, ids, logger })
  topology.missing.on(() => registry.check())
  const lines = new Lines({ prefix, registry, topology, desk, clock })
  const holdings = new Holdings(clock, config.maxHoldMs, (held) => void settler.expired(held))
  const settler: Settler = new Settler(holdings, mover, clock)
  const sorter = new Sorter(mover, clock, ids)
  const closing = new Signal()
  const shared = { link, config, clock, logger, lines, topology, holdings, sorter, desk, ids, mover }
  const close = async (): Promise<void> => {
    registry.close()
    mover.close()
    holdings.close()
    await Promise.all(links.map((one) => one.close()))
    work.close()
  }
  try {
    await registry.open()
  } catch (error) {
    await close()
    throw error
  }
  return {
    ...shared,
    registry,
    settler,
    closing,
    work,
    receiver: new Receiver({ ...shared, closing }),
    post: new Post({ publisher, mover, topology, desk, config, clock, ids }),
    maintenance: new Maintenance(shared),
    close,
  }
}

async function connectBoth(
  config: RabbitConfig,
  deps: { clock: BackendOptions['clock']; logger: BackendOptions['logger'] },
): Promise<readonly [Link, Link]> {
  const link = new Link(`muster ${config.namespace} receive`, { config, ...deps })
  const outbound = new Link(`muster ${config.namespace} publish`, { config, ...deps })
  try {
    await link.open()
    requireVersion(link.version, config)
    await outbound.open()
    return [link, outbound]
  } catch (error) {
    await Promise.all([link.close(), outbound.close()])
    throw error
  }
}

/** The registry needs queues with a single active consumer (3.8), delays a quorum queue that keeps each until the next has it (3.10). */
const OLDEST = [3, 10] as const

function requireVersion(version: string, { address }: RabbitConfig): void {
  const [major = NaN, minor = NaN] = version.split('.').map(Number)
  if (!(major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))) return
  throw new MusterError('CONFIG_INVALID', `RabbitMQ at ${address.shown} is version ${version}`, {
    hint: `Use RabbitMQ ${OLDEST.join('.')} or newer.`,
    details: { version },
  })
}
