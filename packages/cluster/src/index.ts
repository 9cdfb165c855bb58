/** @muster/cluster: machines, leader, placement, launch, observe, stop. */
export type * from './launch/launcher.js'
export type * from './machines/transport.js'
