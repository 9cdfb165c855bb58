/**
 * @muster/testing/servers: real servers in containers, for tests of what talks to them. Needs Linux, testcontainers, a
 * container engine on this host and, for the first start, root and mmdebstrap.
 */
export { startSshMachine, type SshMachine, type SshMachineOptions } from './ssh-machine.js'
export { startRedis, type RedisOptions } from './redis.js'
export { startRedisCluster, startRedisPair, type RedisCluster, type RedisNode, type RedisPair } from './redis-groups.js'
export { startRabbit, type RabbitOptions, type RabbitServer } from './rabbit.js'
export type { QueueServer } from './queue-server.js'
export type { ExecOptions, Executed } from './exec.js'
export { serverImage } from './image.js'
export { removeLeftMachines, removeMachinesOfRun } from './leftovers.js'
