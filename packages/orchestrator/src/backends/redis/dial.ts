/**
 * Making connections that are ready for commands. Invariant: what kind of server it is, and what its settings put at risk, is looked at once
 * per opened backend: at the first connection.
 */
import type { Clock, Logger } from '@muster/core'
import type { RedisConfig } from './config.js'
import { connect, type Connection } from './connection.js'
import { greet, readFacts, requireVersion, warnOfRisks } from './greet.js'

/** A function that connects; `keepsAlive`: whether calls under way keep the process alive. */
export function dialer(
  config: RedisConfig,
  clock: Clock,
  logger: Logger,
): (keepsAlive: boolean) => Promise<Connection> {
  let known = false
  return async (keepsAlive) => {
    const [first] = config.address.hosts
    const { host, port } = first ?? { host: '127.0.0.1', port: 6379 }
    const connection = await connect(config, { host, port, keepsAlive }, clock)
    try {
      await greet(connection, config)
      if (!known) {
        const facts = await readFacts(connection)
        requireVersion(facts, config)
        await warnOfRisks(connection, facts, config, logger)
        known = true
      }
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }
}
