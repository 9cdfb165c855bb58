/** @muster/testing: the conformance suites of muster's seams. A third party proves an implementation of its own with them. */
export { queueBackendSuite, type QueueBackendFactory } from './queue-backend.suite.js'
export { jobStoreSuite, type JobStoreFactory } from './job-store.suite.js'
export { transportSuite, type TransportFactory } from './transport.suite.js'
export { launcherSuite, type LauncherBench, type LauncherFactory, type LauncherSetup } from './launcher.suite.js'
