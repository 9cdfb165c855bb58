/**
 * The suite of the record: what every JobStore must do, whatever database stands behind it. Nothing is skipped and no expectation
 * knows the database. Crashes are processes that are killed, crowds are processes that run side by side.
 */
import { describe } from 'vitest'
import { attemptsSection } from './job-store/attempts.js'
import { jobsSection } from './job-store/jobs.js'
import type { JobStoreFactory } from './job-store/kit.js'
import { machinesSection } from './job-store/machines.js'
import { processesSection } from './job-store/processes.js'
import { queuesSection } from './job-store/queues.js'

export type { JobStoreFactory } from './job-store/kit.js'

/** Declares the tests that a JobStore must pass. Call it at the top level of a vitest file. */
export function jobStoreSuite(factory: JobStoreFactory): void {
  describe(`JobStore ${factory.name}`, () => {
    describe('jobs', () => {
      jobsSection(factory)
    })
    describe('attempts', () => {
      attemptsSection(factory)
    })
    describe('machines', () => {
      machinesSection(factory)
    })
    describe('queues', () => {
      queuesSection(factory)
    })
    describe('processes', () => {
      processesSection(factory)
    })
  })
}
