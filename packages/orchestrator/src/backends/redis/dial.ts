/**
 * From an address to a server: connections that are ready for commands, and a look at what answers. Invariant: what kind of server it is, and
 * what its settings put at risk, is looked at once per opened backend, before anything else.
 */
import { MusterError, type Clock, type Logger } from '@muster/core'
import { Cluster } from './cluster.js'
import type { RedisConfig } from './config.js'
import { connect, type Connection } from './connection.js'
import { operationFailed } from './errors.js'
import { greet, readFacts, requireVersion, warnOfRisks } from './greet.js'
import { Link } from './link.js'
import type { Server } from './server.js'
import { splitNode } from './slots.js'

/** What opening stands on. */
export interface DialDeps {
  readonly config: RedisConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

/** Connects to the server, or to the cluster, of an address. Throws CONFIG_INVALID and BACKEND_UNAVAILABLE. */
export async function openServer({ config, clock, logger, random }: DialDeps): Promise<Server> {
  const { hosts } = config.address
  const dial = async (node: string, keepsAlive: boolean): Promise<Connection> => {
    const [host, port] = splitNode(node)
    const connection = await connect(config, { host, port, keepsAlive }, clock)
    try {
      await greet(connection, config)
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }
  const linkTo = (node: string): Link =>
    new Link({ config, clock, random, dial: (keepsAlive) => dial(node, keepsAlive) })

  const seeds = hosts.map(({ host, port }) => `${host}:${port}`)
  const { link, connection } = await firstThatAnswers(seeds.map(linkTo))
  try {
    const facts = await readFacts(connection)
    requireVersion(facts, config)
    await warnOfRisks(connection, facts, config, logger)
    if (facts.get('cluster_enabled') !== '1') {
      if (seeds.length === 1) return link
      throw new MusterError(
        'CONFIG_INVALID',
        'backend: several hosts mean a Redis Cluster, but this server is in none',
        {
          hint: 'Name one host.',
        },
      )
    }
  } catch (error) {
    link.close()
    throw operationFailed(config.address, error)
  }
  link.close()
  const cluster = new Cluster({ clock, seeds, link: linkTo })
  await cluster.open()
  return cluster
}

async function firstThatAnswers(links: readonly Link[]): Promise<{ link: Link; connection: Connection }> {
  let failure: unknown
  for (const link of links) {
    try {
      return { link, connection: await link.open() }
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
