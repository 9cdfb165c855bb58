/** Client libraries belong to whoever uses a server: each is imported when its backend first connects, and named where it is missing. */
import { MusterError } from '@muster/core'

/**
 * Imports a client library: `importClient('ioredis', () => import('ioredis'))`. Throws CLIENT_MISSING where it is not installed; what
 * the library itself cannot find is another fault, and is thrown as it is.
 */
export async function importClient<T>(client: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const notFound = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    if (!notFound || !error.message.includes(`'${client}'`)) throw error
    throw new MusterError('CLIENT_MISSING', `backend: it needs the package ${client}, which is not installed`, {
      hint: `Install it beside muster: npm i ${client}`,
      details: { package: client },
      cause: error,
    })
  }
}
