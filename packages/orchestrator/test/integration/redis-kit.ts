/** What the tests of the Redis backend share: opening it at an address, and looking at what it logs. */
import { systemClock, systemIds, type Logger } from '@muster/core'
import { parseAddress, type OutgoingMessage, type QueueBackend, type RawDelivery } from '@muster/orchestrator'
import { onTestFinished } from 'vitest'
import { open } from '../../src/backends/redis/redis.js'

/** A logger that keeps its warnings. */
export interface Listening extends Logger {
  readonly warnings: { readonly facts: object; readonly message: string }[]
}

export function listeningLogger(): Listening {
  const warnings: Listening['warnings'] = []
  const nothing = (): void => undefined
  return {
    ...{ debug: nothing, info: nothing, error: nothing, warnings },
    warn: (facts, message = '') => void warnings.push({ facts, message }),
  }
}

/** Opens the backend for the running test, on a namespace of its own unless given. */
export async function openRedis(
  url: string,
  { namespace = `test-${systemIds.next()}`, logger = listeningLogger() } = {},
): Promise<QueueBackend> {
  const backend = await open({ namespace, clock: systemClock, ids: systemIds, logger }, await parseAddress(url))
  onTestFinished(() => backend.close())
  return backend
}

export const message = (text: string, rest: Omit<OutgoingMessage, 'body'> = {}): OutgoingMessage => ({
  body: Buffer.from(text),
  ...rest,
})

export const texts = (deliveries: readonly { readonly body: Uint8Array }[]): string[] =>
  deliveries.map(({ body }) => Buffer.from(body).toString())

/** Receives with the defaults of a test: one look, up to 1,000, held for 30 s. */
export const take = (
  backend: QueueBackend,
  queue: string,
  request: Partial<Parameters<QueueBackend['receive']>[0]> = {},
): Promise<readonly RawDelivery[]> => backend.receive({ queue, max: 1_000, waitMs: 0, leaseMs: 30_000, ...request })

export const acks = (deliveries: readonly RawDelivery[]): Parameters<QueueBackend['settle']>[0] =>
  deliveries.map(({ receipt }) => ({ as: 'ack', receipt }))
