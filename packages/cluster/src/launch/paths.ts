/** Where an attempt lies on its machine: the layout that launcher, leader and workers share. */
import type { AttemptKey } from './launcher.js'
import { attemptName } from './names.js'

/** Absolute paths of one attempt on its machine. */
export interface AttemptPaths {
  readonly directory: string
  readonly work: string
  readonly artifacts: string
  readonly result: string
  readonly log: string
}

/** The paths of `key` below a machine's state directory. Throws INVALID_ARGUMENT for a key that is no plain word. */
export function attemptPaths(stateDir: string, key: AttemptKey): AttemptPaths {
  const directory = `${stateDir}/attempts/${attemptName(key)}`
  return {
    directory,
    work: `${directory}/work`,
    artifacts: `${directory}/artifacts`,
    result: `${directory}/result`,
    log: `${directory}/log`,
  }
}
