/** @muster/cluster: machines, leader, placement, launch, observe, stop. */
export type * from './launch/launcher.js'
export { shellLauncher, type ShellLauncher, type ShellLauncherOptions } from './launch/shell-launcher.js'
export { localEnvironment, localTransport, type LocalOptions } from './machines/local.js'
export type * from './machines/transport.js'
