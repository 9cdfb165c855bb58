/**
 * The suite of the QueueBackend seam: the items of its contract, unchanged for every backend. A capability that is absent turns its test into
 * one that proves the throw; nothing is skipped, and no expectation knows which backend it runs on.
 */
import { describe } from 'vitest'
import { crowdSection } from './queue-backend/crowd.js'
import { deadSection } from './queue-backend/dead.js'
import { faultHistorySection } from './queue-backend/fault-history.js'
import { faultSection } from './queue-backend/faults.js'
import { historySection } from './queue-backend/history.js'
import type { QueueBackendFactory } from './queue-backend/kit.js'
import { orderSection } from './queue-backend/order.js'
import { outageSection } from './queue-backend/outages.js'
import { loneSection, processSection } from './queue-backend/processes.js'
import { publishSection } from './queue-backend/publish.js'
import { soakSection } from './queue-backend/soak.js'
import { settleSection } from './queue-backend/settle.js'

export type { QueueBackendFactory } from './queue-backend/kit.js'

/** Declares the tests that a QueueBackend must pass. Call it at the top level of a vitest file. */
export function queueBackendSuite(factory: QueueBackendFactory): void {
  const { capabilities, processes, server } = factory
  if (capabilities.shared && (processes === undefined || server === undefined))
    throw new TypeError(`${factory.name}: a shared backend brings 'processes' and 'server'`)
  describe(`QueueBackend ${factory.name}`, () => {
    describe('publish', () => publishSection(factory))
    describe('receive and order', () => orderSection(factory))
    describe('settle', () => settleSection(factory))
    describe('dead letters, clean, pause', () => deadSection(factory))
    describe('time and faults', () => faultSection(factory))
    describe('other processes', () => (capabilities.shared ? processSection(factory) : loneSection(factory)))
    if (server) describe('outages', () => outageSection(factory, server))
    describe('eight producers, eight consumers', () => crowdSection(factory))
    describe('history', () => {
      historySection(factory)
      faultHistorySection(factory)
    })
    describe('soak', () => soakSection(factory))
  })
}
