/**
 * What a backend will offer, from its address alone: for programs that connect later, or not at all. Reads the same configuration that
 * opening it reads, so a mistake in it shows at once, whether or not the server is up.
 */
import { parseAddress, type BackendConfig } from './address.js'
import type { BackendCapabilities } from './backend.js'

/** The capabilities of the backend that `where` names. Throws CONFIG_INVALID. */
export async function describeBackend(where: string | BackendConfig): Promise<BackendCapabilities> {
  const url = typeof where === 'string' ? where : where.url
  if (url === 'local') return (await import('./backends/local.js')).LOCAL_CAPABILITIES
  const address = await parseAddress(where)
  if (address.scheme.startsWith('amqp')) {
    const { capabilitiesOf, readConfig } = await import('./backends/rabbitmq/config.js')
    return capabilitiesOf(readConfig(address, ''))
  }
  const [{ readConfig }, { REDIS_CAPABILITIES }] = await Promise.all([
    import('./backends/redis/config.js'),
    import('./backends/redis/redis.js'),
  ])
  readConfig(address, '')
  return REDIS_CAPABILITIES
}
