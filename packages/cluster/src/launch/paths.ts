/** Where an attempt lies on its machine, for those who are given paths: workers. */
import { attemptName } from './names.js'
import type { AttemptKey } from './launcher.js'

/** Absolute paths on the machine. */
export interface AttemptPaths {
  readonly work: string
  readonly result: string
}

/** The paths of an attempt below a machine's state directory. Throws INVALID_ARGUMENT unless the key is made of plain words. */
export function attemptPaths(stateDir: string, key: AttemptKey): AttemptPaths {
  const directory = `${stateDir}/attempts/${attemptName(key)}`
  return { work: `${directory}/work`, result: `${directory}/result` }
}
