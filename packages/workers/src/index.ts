/** @muster/workers: what runs on a machine. Each worker is made by a function and registered under its kind. */
export { command, commandWorker, type CommandInput } from './command.js'
export { dirty, type Dirty } from './git/dirty.js'
export { gitWorker, type GitWorkerOptions } from './git/git-worker.js'
export { git, type GitInput } from './git/input.js'
export type { Secrets } from './program.js'
