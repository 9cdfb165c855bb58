/** @muster/testing: the conformance suites of muster's seams, by which a third party proves an implementation, and the fault kit. */
export { queueBackendSuite, type QueueBackendFactory } from './queue-backend.suite.js'
export { jobStoreSuite, type JobStoreFactory } from './job-store.suite.js'
export { transportSuite, type TransportFactory } from './transport.suite.js'
export { launcherSuite, type LauncherBench, type LauncherFactory, type LauncherSetup } from './launcher.suite.js'
export { tcpProxy, type TcpProxy, type TcpTarget } from './faults/tcp-proxy.js'
export {
  findProcesses,
  here,
  inside,
  killOne,
  killProcesses,
  type KillSignal,
  type Place,
  type Victim,
} from './faults/killers.js'
